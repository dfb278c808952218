"""Decisions as they are written: `alpha`, `best_size=1e22`, `reach=2.0`, `loss params=1e10 tokens=2e11`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.allocation.cost_models import SIX_ND, CostModel
from analysis.allocation.size_and_data import size_and_data
from analysis.fit import Fit
from analysis.law import Law
from analysis.next_runs.decision import (
    Decision,
    best_size_of,
    coefficient_of,
    prediction_of,
    scale_of,
)
from trainers.schema import InputError, shown

MOST = 500  # characters


@dataclass(frozen=True)
class Written:
    """A decision as it was written: a name, and numbers by their names."""

    name: str
    numbers: tuple[tuple[str, float], ...]

    @property
    def single(self) -> tuple[str, float] | None:
        """The only number, where nothing else was written."""
        return self.numbers[0] if not self.name and len(self.numbers) == 1 else None


def written(text: str, law: Law, held: Mapping[str, float], target: str) -> Written:
    """Read a decision, and refuse one that the law cannot answer.

    Raises:
        InputError: the text is no decision about this law, or a number is missing or not positive.
    """
    found = _read(text)
    single = found.single
    if not found.numbers and found.name in law.place:
        return found
    if single is not None and single[0] == "best_size":
        size_and_data(law, held)
        _positive(text, *single)
        return found
    if single is not None and single[0] == "reach":
        if len(law.inputs) != 1 or not law.inputs[0].positive:
            raise InputError(f"narrow {text}: expected a law of one positive input")
        return found
    if found.numbers and found.name in (target, law.target):
        _place(text, law, dict(found.numbers))
        return found
    place = " ".join(f"{name}=NUMBER" for name in law.input_names)
    other = "reach=NUMBER" if len(law.inputs) == 1 else "best_size=BUDGET"
    raise InputError(
        f"narrow: expected a coefficient ({', '.join(law.place)}), {other} or "
        f"'{law.target} {place}', got {shown(text)}"
    )


def decision_of(
    text: str, fitted: Fit, cost: CostModel | None = None, held: Mapping[str, float] | None = None
) -> Decision:
    """What a text wants to be narrowed, as a function of the fit; a budget is in the unit of the cost.

    Raises:
        InputError: as in `written`; or the fit has no resamples, no best size or no such scale.
    """
    found = written(text, fitted.law, held or {}, fitted.target)
    single = found.single
    if single is not None and single[0] == "best_size":
        of = SIX_ND if cost is None else cost
        return best_size_of(fitted, single[1], cost=of, held=held)
    if single is not None:
        return scale_of(fitted, single[1])
    if found.numbers:
        return prediction_of(fitted, dict(found.numbers))
    return coefficient_of(fitted, found.name)


def _read(text: str) -> Written:
    """A name, if there is one, and the numbers after it."""
    if not text.strip() or len(text) > MOST:
        raise InputError(f"narrow: expected 1 to {MOST} characters, got {len(text.strip())}")
    name, *parts = re.split(r"[,\s]+", text.strip())
    if "=" in name:
        name, parts = "", [name, *parts]
    numbers: dict[str, float] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        try:
            number = float(value) if equals else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or key in numbers:
            raise InputError(f"narrow {shown(text)}: expected NAME=NUMBER once each, got {part!r}")
        numbers[key] = number
    return Written(name, tuple(numbers.items()))


def _place(text: str, law: Law, place: Mapping[str, float]) -> None:
    for name in place:
        if name not in law.input_names:
            known = ", ".join(law.input_names)
            raise InputError(f"narrow {shown(text)}: expected {known}, got {name}")
    for one in law.inputs:
        if one.name not in place:
            raise InputError(f"narrow {shown(text)}: expected {one.name}=NUMBER too")
        if one.positive:
            _positive(text, one.name, place[one.name])


def _positive(text: str, name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"narrow {shown(text)}: expected a positive {name}, got {value:g}")
