"""Laws of size and data: how the inputs of a law follow from a number of parameters and of tokens."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.law import Law
from trainers.schema import InputError

Numbers = Float[np.ndarray, " place"]

WAYS: dict[frozenset[str], dict[str, tuple[int, int]]] = {
    frozenset({"params", "tokens"}): {"params": (1, 0), "tokens": (0, 1)},
    frozenset({"flops", "ratio"}): {"flops": (1, 1), "ratio": (-1, 1)},
    frozenset({"params", "steps"}): {"params": (1, 0), "steps": (0, 1)},
}
"""The exponents of params and of tokens in an input; steps are tokens over the batch, which is held."""


@dataclass(frozen=True)
class SizeAndData:
    """How the inputs of a law follow from size and tokens.

    `held` are the inputs that stay as they are. `unique` is the number of different tokens that there
    are, for a law of `unique_tokens`; infinity where all tokens are different.
    """

    law: Law
    powers: tuple[tuple[str, tuple[int, int]], ...]
    held: tuple[tuple[str, float], ...]
    unique: float

    def values(self, params: Numbers, tokens: Numbers) -> dict[str, Numbers]:
        """The inputs of the law at every place."""
        held = dict(self.held)
        result = {name: np.full(params.shape, value) for name, value in self.held}
        for name, (size, data) in self.powers:
            result[name] = params**size * tokens**data * _unit(name, held)
        if "unique_tokens" in self.law.input_names:
            result["unique_tokens"] = np.minimum(tokens, self.unique)
        return result

    def powers_of(self, tokens: Numbers) -> dict[str, tuple[Numbers, Numbers]]:
        """The derivatives of ln input by ln params and by ln tokens, of all inputs that have any."""
        ones = np.ones(tokens.shape)
        result = {name: (size * ones, data * ones) for name, (size, data) in self.powers}
        if "unique_tokens" in self.law.input_names:
            result["unique_tokens"] = (0 * ones, np.where(tokens < self.unique, 1.0, 0.0))
        return result

    def of_rows(self, values: Mapping[str, Numbers]) -> tuple[Numbers, Numbers]:
        """The parameters and tokens of rows that were run."""
        found = sizes_of(self.law, values)
        if found is None:
            raise ValueError(f"expected rows of a law of size and data, got {self.law.name}")
        return found


def sizes_of(law: Law, values: Mapping[str, Numbers]) -> tuple[Numbers, Numbers] | None:
    """The parameters and tokens of places, from the inputs of a law; None if these do not tell them."""
    names = set(law.input_names)
    if {"params", "tokens"} <= names:
        return values["params"], values["tokens"]
    if {"flops", "ratio"} <= names:
        params = np.sqrt(values["flops"] / (6 * values["ratio"]))
        return params, values["ratio"] * params
    if {"params", "steps", "batch"} <= names:
        return values["params"], values["steps"] * values["batch"]
    return None


def size_and_data(law: Law, held: Mapping[str, float] | None = None) -> SizeAndData:
    """Read the inputs of a law as size and data; `held` gives a number for each of the others.

    Raises:
        InputError: the law has no size or no data, or an input is missing, unknown or not a number.
    """
    held = dict(held or {})
    names = set(law.input_names)
    found = next((way for way in WAYS if way <= names), None)
    if found is None or (found == {"params", "steps"} and "batch" not in names):
        raise InputError(
            f"law {law.name}: expected the inputs params and tokens (or flops and ratio), "
            f"got {', '.join(law.input_names)}"
        )
    unique = held.pop("unique_tokens", math.inf) if "unique_tokens" in names else math.inf
    rest = names - found - {"unique_tokens"}
    for name in held:
        if name not in rest:
            raise InputError(
                f"held: expected inputs of {', '.join(sorted(rest)) or 'none'}, got {name}"
            )
    for one in law.inputs:
        if one.name not in rest:
            continue
        value = held.get(one.name)
        if value is None:
            raise InputError(
                f"held: expected a number for {one.name} ({one.meaning}), there is none"
            )
        if not math.isfinite(value) or (one.positive and value <= 0):
            kind = "positive" if one.positive else "finite"
            raise InputError(f"held: expected a {kind} number for {one.name}, got {value}")
    if not unique > 0:
        raise InputError(f"held: expected a positive number for unique_tokens, got {unique}")
    kept = tuple((name, float(held[name])) for name in law.input_names if name in rest)
    return SizeAndData(law, tuple(WAYS[found].items()), kept, float(unique))


def _unit(name: str, held: Mapping[str, float]) -> float:
    """What an input is at one parameter and one token."""
    if name == "flops":
        return 6.0
    return 1.0 / held["batch"] if name == "steps" else 1.0
