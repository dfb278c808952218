"""A law as data: formula, inputs, coefficients and terms; the laws themselves lie in `laws/`."""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from analysis.terms import Term
from trainers.schema import InputError

FOLDER = Path(__file__).parent / "laws"

Values = Mapping[str, Float[np.ndarray, " run"]]


@dataclass(frozen=True)
class Input:
    """What a law is a function of; `levels` distinct values are the least that can identify it."""

    name: str
    meaning: str
    levels: int


@dataclass(frozen=True)
class Coefficient:
    """A number that is fitted, within [low, high]; `starts` is the search grid of an exponent."""

    name: str
    meaning: str
    low: float
    high: float
    starts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Law:
    """A sum of terms. Everything the engine needs to fit it, and nothing about how.

    Raises:
        ValueError: the terms and coefficients of the law do not belong together.
    """

    name: str
    formula: str
    source: str
    inputs: tuple[Input, ...]
    coefficients: tuple[Coefficient, ...]
    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        named = [coefficient.name for coefficient in self.coefficients]
        linear = [term.coefficient for term in self.terms]
        powers = {name for term in self.terms for name in term.exponents}
        if sorted([*linear, *powers]) != sorted(named):
            raise ValueError(f"{self.name}: expected each of {named} once, in the terms")
        for coefficient in self.coefficients:
            if (coefficient.name in powers) != bool(coefficient.starts):
                raise ValueError(f"{self.name}: exponents, and only they, have starts")
        for term in self.terms:
            # An amplitude is fitted in units of the data's centre, where only its sign is a bound.
            bounds = self.coefficient(term.coefficient)
            if term.inputs and (bounds.low, bounds.high) != (0.0, math.inf):
                raise ValueError(f"{self.name}: {term.coefficient} must lie in 0..inf")

    def coefficient(self, name: str) -> Coefficient:
        """The coefficient of that name."""
        return self.coefficients[self.place[name]]

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each coefficient stands in a vector of coefficients."""
        return {coefficient.name: place for place, coefficient in enumerate(self.coefficients)}

    @cached_property
    def exponents(self) -> tuple[Coefficient, ...]:
        """The coefficients that do not enter linearly."""
        linear = {term.coefficient for term in self.terms}
        return tuple(one for one in self.coefficients if one.name not in linear)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(one.name for one in self.inputs)


def log_inputs(law: Law, values: Values) -> Float[np.ndarray, "input run"]:
    """The natural logs of the inputs, stacked in the law's order."""
    return np.log(
        np.stack([np.asarray(values[name], dtype=np.float64) for name in law.input_names])
    )


def term_values(
    law: Law,
    vectors: Float[np.ndarray, "problem coefficient"],
    logs: Float[np.ndarray, "input run"],
) -> Float[np.ndarray, "problem term run"]:
    """Every term of the law at every run, for many vectors of coefficients."""
    values = []
    for term in law.terms:
        rows = [law.input_names.index(name) for name in term.inputs]
        exponents = np.stack(
            [vectors[:, [law.place[name]]] for name in term.exponents] or [vectors]
        )
        basis = np.exp(term.log_basis(logs[rows] if rows else logs, exponents).value)
        values.append(vectors[:, [law.place[term.coefficient]]] * basis)
    return np.stack(values, axis=1)


def predict_many(
    law: Law, vectors: Float[np.ndarray, "problem coefficient"], values: Values
) -> Float[np.ndarray, "problem run"]:
    """The prediction at every run, for many vectors of coefficients, in the unit of the loss."""
    return term_values(law, vectors, log_inputs(law, values)).sum(axis=1)


def predict(
    law: Law, coefficients: Mapping[str, float], values: Values
) -> Float[np.ndarray, " run"]:
    """The law's prediction at every run, in the unit of the loss."""
    return predict_many(law, _vector(law, coefficients), values)[0]


def gradient(
    law: Law, coefficients: Mapping[str, float], values: Values
) -> Float[np.ndarray, "run coefficient"]:
    """The derivative of the prediction by each coefficient."""
    vector, logs = _vector(law, coefficients), log_inputs(law, values)
    terms = term_values(law, vector, logs)[0]
    result = np.zeros((logs.shape[1], len(law.coefficients)))
    for term, value in zip(law.terms, terms, strict=True):
        rows = [law.input_names.index(name) for name in term.inputs]
        exponents = np.stack([vector[:, [law.place[name]]] for name in term.exponents] or [vector])
        basis = term.log_basis(logs[rows] if rows else logs, exponents)
        result[:, law.place[term.coefficient]] += np.exp(basis.value)[0]
        for name, slope in zip(term.exponents, basis.slopes, strict=True):
            result[:, law.place[name]] += value * slope[0]
    return result


def all_laws() -> tuple[Law, ...]:
    """Every law of the folder `laws/`, by name."""
    names = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
    return tuple(importlib.import_module(f"analysis.laws.{name}").LAW for name in names)


def find_law(name: str) -> Law:
    """The law of that name.

    Raises:
        InputError: there is no such law.
    """
    known = {law.name: law for law in all_laws()}
    if name not in known:
        raise InputError(f"law: expected one of {', '.join(known)}, got {name!r}")
    return known[name]


def _vector(law: Law, coefficients: Mapping[str, float]) -> Float[np.ndarray, "1 coefficient"]:
    return np.array([[float(coefficients[one.name]) for one in law.coefficients]])
