"""Curves of laws of one variable, and fits of them, for several test files."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import predict
from analysis.engine.objective import Objective
from analysis.engine.refit import Optimum, optimum, setup
from analysis.law import find_law
from analysis.points import Points

Numbers = Float[np.ndarray, " run"]
SQUARES = Objective(kind="squares")
PLAIN = Objective(kind="squares", residual="plain")


def found_in(
    name: str, x: Numbers, measured: Numbers, objective: Objective | None = None
) -> tuple[dict[str, float], Optimum]:
    law = find_law(name)
    on = Points({law.inputs[0].name: x}, measured, tuple(measured[:, None]))
    best = optimum(setup(law, on, objective))
    return dict(zip(law.place, map(float, best.vectors[0]), strict=True)), best


def at(name: str, coefficients: Mapping[str, float], x: Numbers) -> Numbers:
    law = find_law(name)
    return predict(law, coefficients, {law.inputs[0].name: np.asarray(x, dtype=np.float64)})
