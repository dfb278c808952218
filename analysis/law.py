"""A law as data: its formula, inputs and coefficients; the laws themselves lie in `laws/`."""

import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from analysis.engine.formula import Formula, parse, substituted
from analysis.engine.objective import Objective
from trainers.schema import InputError, shown

FOLDER = Path(__file__).parent / "laws"

Values = Mapping[str, Float[np.ndarray, " run"]]


@dataclass(frozen=True)
class Input:
    """What a law is a function of; `levels` distinct values are the least that can identify it.

    Inputs are positive numbers; one that may be 0 or negative says `positive=False`.
    """

    name: str
    meaning: str
    levels: int = 2
    positive: bool = True


@dataclass(frozen=True)
class Coefficient:
    """A number that is fitted, within [low, high].

    One that does not enter linearly has `starts`, the interval in which it is searched; with `log`
    it is searched and refined by its logarithm. With `of`, the bounds and the starts are multiples
    of the geometric mean of that input.
    """

    name: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    starts: tuple[float, float] | None = None
    log: bool = False
    of: str = ""


@dataclass(frozen=True)
class Law:
    """A formula with the meaning of its names; everything else about it follows from the formula.

    Raises:
        ValueError: the formula, the inputs and the coefficients do not belong together.
        InputError: the formula cannot be read.
    """

    name: str
    formula: str
    source: str
    inputs: tuple[Input, ...]
    coefficients: tuple[Coefficient, ...]
    objective: Objective = field(default_factory=Objective)

    def __post_init__(self) -> None:
        named = [one.name for one in (*self.inputs, *self.coefficients)]
        if sorted(self.parsed.names) != sorted(named):
            raise ValueError(
                f"{self.name}: expected each of {named} in the formula, got {self.parsed.names}"
            )
        positive = {one.name for one in self.inputs if one.positive}
        for one in self.coefficients:
            what = f"{self.name}: {one.name}"
            if not one.low < one.high:
                raise ValueError(f"{what}: expected low < high, got {one.low} and {one.high}")
            if one.of and one.of not in positive:
                raise ValueError(f"{what}: expected a positive input, got {one.of!r}")
            if one.starts is None:
                if one.log or one.of:
                    raise ValueError(f"{what}: expected starts")
            elif not one.low <= one.starts[0] < one.starts[1] <= one.high:
                raise ValueError(f"{what}: expected starts within the bounds, got {one.starts}")
            elif one.log and one.low <= 0:
                raise ValueError(f"{what}: expected low > 0, got {one.low}")

    @cached_property
    def parsed(self) -> Formula:
        """The formula as a tree."""
        return parse(self.formula)

    @property
    def target(self) -> str:
        """The name of what the law predicts."""
        return self.parsed.target

    def coefficient(self, name: str) -> Coefficient:
        """The coefficient of that name."""
        return self.coefficients[self.place[name]]

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each coefficient stands in a vector of coefficients."""
        return {coefficient.name: place for place, coefficient in enumerate(self.coefficients)}

    @property
    def nonlinear(self) -> tuple[Coefficient, ...]:
        """The coefficients that do not enter linearly: exponents and scales."""
        return tuple(one for one in self.coefficients if one.starts is not None)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(one.name for one in self.inputs)

    def fixed(self, known: Mapping[str, float]) -> "Law":
        """The law with some coefficients set to numbers.

        Raises:
            InputError: there is no such coefficient, or a number lies outside of its bounds.
        """
        for name, value in known.items():
            one = self._named(name)
            if not math.isfinite(value) or (not one.of and not one.low <= value <= one.high):
                raise InputError(
                    f"law {self.name}: expected {name} within {one.low:g} to {one.high:g}, "
                    f"got {value}"
                )
        return self._without({name: float(value) for name, value in known.items()})

    def tied(self, pairs: Mapping[str, str]) -> "Law":
        """The law with some coefficients equal to others: `{"beta": "alpha"}` ties beta to alpha.

        Raises:
            InputError: there is no such coefficient, or one is tied to itself or to a tied one.
        """
        for name, other in pairs.items():
            self._named(name)
            self._named(other)
            if name == other or other in pairs:
                raise InputError(f"law {self.name}: cannot tie {name} to {other}")
        return self._without(dict(pairs))

    def held(self, fix: Mapping[str, float], tie: Mapping[str, str]) -> "Law":
        """The law with some coefficients equal to others, then some set to numbers.

        Raises:
            InputError: as `tied` and `fixed` do.
        """
        law = self.tied(tie) if tie else self
        return law.fixed(fix) if fix else law

    def _named(self, name: str) -> Coefficient:
        if name not in self.place:
            known = ", ".join(self.place)
            raise InputError(f"law {self.name}: expected a coefficient of {known}, got {name!r}")
        return self.coefficient(name)

    def _without(self, known: Mapping[str, float | str]) -> "Law":
        left = tuple(one for one in self.coefficients if one.name not in known)
        if not left:
            raise InputError(f"law {self.name}: expected a coefficient that is left to be fitted")
        formula = substituted(self.parsed, dict(known))
        names = parse(formula).names
        inputs = tuple(one for one in self.inputs if one.name in names)
        return replace(self, formula=formula, inputs=inputs, coefficients=left)


def input_array(law: Law, values: Values) -> Float[np.ndarray, "input run"]:
    """The inputs, stacked in the law's order."""
    return np.stack([np.asarray(values[name], dtype=np.float64) for name in law.input_names])


def all_laws() -> tuple[Law, ...]:
    """Every law of the folder `laws/`, by name."""
    names = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
    return tuple(importlib.import_module(f"analysis.laws.{name}").LAW for name in names)


def find_law(name: str) -> Law:
    """The law of that name; `broken:2` is the law `broken` with a size of 2.

    Raises:
        InputError: there is no such law, or it has no size.
    """
    stem, colon, size = name.partition(":")
    known = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
    if stem not in known:
        near = get_close_matches(stem, known, n=3, cutoff=0.5)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise InputError(
            f"law: expected one that `lawsweep laws` lists, or a formula, got {shown(name)}{hint}"
        )
    module = importlib.import_module(f"analysis.laws.{stem}")
    if not colon:
        return module.LAW
    if not hasattr(module, "make"):
        raise InputError(f"law {stem}: expected no size, got {shown(name)}")
    if not re.fullmatch(r"[0-9]{1,2}", size):
        raise InputError(f"law {stem}: expected a size such as {stem}:2, got {shown(name)}")
    return module.make(int(size))


def vector(law: Law, coefficients: Mapping[str, float]) -> Float[np.ndarray, "1 coefficient"]:
    """Named coefficients as one row, in the order of the law."""
    return np.array([[float(coefficients[one.name]) for one in law.coefficients]])
