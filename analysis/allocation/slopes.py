"""Derivatives of a formula by its inputs, for as many coefficients and places as there are problems."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import gradient_many, predict_many
from analysis.law import Coefficient, Input, Law

Each = Float[np.ndarray, " problem"]

_NOTHING = "nothing_"
_ONE = {_NOTHING: np.ones(1)}


def value_each(
    law: Law, vectors: Float[np.ndarray, "problem coefficient"], values: Mapping[str, Each]
) -> Each:
    """The prediction of every problem at a place of its own, in the unit of the target."""
    return predict_many(_turned(law), _joined(law, vectors, values), _ONE)[:, 0]


def slopes_each(
    law: Law, vectors: Float[np.ndarray, "problem coefficient"], values: Mapping[str, Each]
) -> dict[str, Each]:
    """The derivative of every problem's prediction by each input, at a place of its own."""
    found = gradient_many(_turned(law), _joined(law, vectors, values), _ONE)[:, 0]
    first = len(law.coefficients)
    return {name: found[:, first + place] for place, name in enumerate(law.input_names)}


def _joined(
    law: Law, vectors: Float[np.ndarray, "problem coefficient"], values: Mapping[str, Each]
) -> Float[np.ndarray, "problem name"]:
    inputs = [np.broadcast_to(values[name], len(vectors)) for name in law.input_names]
    return np.column_stack([vectors, *inputs])


@lru_cache(maxsize=64)
def _turned(law: Law) -> Law:
    """The law with its inputs as coefficients too: their derivatives are then its gradient."""
    return Law(
        name=law.name,
        formula=f"{law.formula} + 0 * {_NOTHING}",
        source=law.source,
        inputs=(Input(_NOTHING, ""),),
        coefficients=tuple(Coefficient(one.name, "") for one in (*law.coefficients, *law.inputs)),
    )
