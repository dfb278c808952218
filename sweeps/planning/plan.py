"""Expand a sweep into trials, validate every one, and name each by its content. Needs no cluster."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeps.axes.when import When
from sweeps.axis import Aim
from sweeps.planning.places import Left, Place, places
from sweeps.planning.questions import check_questions
from sweeps.spec import SpecError, Sweep
from trainers.config import TrialConfig
from trainers.schema import InputError, flattened, shown, spelled
from trainers.variants import Variant, Variants

SUMMARY_METRICS = frozenset(
    {"params", "embedding_params", "flops", "examples", "tokens", "wall_s", "diverged"}
)
"""Numbers that every trial has, without its task reporting them."""


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a sweep: where it lies on the axes, and what it costs."""

    key: str
    variant: Variant
    point: Mapping[str, Any]
    replicate: int
    aim: Aim | None = None

    @cached_property
    def config(self) -> TrialConfig:
        """What is trained."""
        return self.variant.config(self.variant.seed + self.replicate)

    @property
    def params(self) -> int:
        """Non-embedding parameters."""
        return self.variant.cost.params

    @property
    def flops(self) -> int:
        """Of the whole training."""
        return self.variant.flops

    def record(self) -> dict[str, Any]:
        """What the storage folder keeps of the trial."""
        return {
            "key": self.key,
            "config": self.variant.dumped(self.variant.seed + self.replicate),
            "point": dict(self.point),
            "replicate": self.replicate,
            "params": self.params,
            "embedding_params": self.variant.cost.embedding_params,
            "flops": self.flops,
            "examples": self.variant.examples,
            "tokens": self.variant.tokens,
            "steps": self.variant.steps,
        }


@dataclass(frozen=True)
class Plan:
    """Every trial of a sweep, each once."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]
    duplicates: int  # places in the space that name a trial which is there already
    excluded: int = 0  # places that the sweep file leaves out


def plan(sweep: Sweep) -> Plan:
    """Expand a sweep into trials; the last axis varies fastest, and replicates faster still.

    Every configuration is validated here, before a worker starts.

    Raises:
        SpecError: an axis names a field or a value that a trial rejects, or the report, a claim or
            the objective asks for what no trial has.
    """
    variants, left = Variants(sweep.trial), Left()
    trials: dict[str, PlannedTrial] = {}
    planned = 0
    for place in places(sweep, variants, left):
        variant = _variant(sweep, variants, place)
        _check_aim(place, variant)
        keys = variant.keys(range(variant.seed, variant.seed + sweep.replicates))
        for replicate, key in enumerate(keys):
            trials.setdefault(key, PlannedTrial(key, variant, place.sets, replicate, place.aim))
        planned += sweep.replicates
    _check_left(sweep, left, planned)
    _check_asked(sweep, trials)
    return Plan(sweep, tuple(trials.values()), planned - len(trials), left.excluded)


def _variant(sweep: Sweep, variants: Variants, place: Place) -> Variant:
    try:
        return variants.with_fields(place.sets)
    except InputError as error:
        path, _, words = str(error).partition(": ")
        if not words or " " in path:  # no place, but words up to a colon
            path, words = "", str(error)
        where, text = _where_written(sweep, path, place)
        raise SpecError(f"{text}: {words}", place=where) from error


def _where_written(sweep: Sweep, path: str, place: Place) -> tuple[tuple[str | int, ...], str]:
    """The place in the sweep file that set a field: a value of an axis, or the trial itself."""
    for number, point in enumerate(place.points):
        for field, value in point.sets.items():
            if f"{path}.".startswith(f"{field}.") or f"{field}.".startswith(f"{path}."):
                return ("axes", number), f"axes[{number}]: {field} = {shown(value)}"
    parts = re.findall(r"[^.\[\]]+", path)
    where = tuple(int(part) if part.isdecimal() else part for part in parts)
    return ("trial", *where), f"trial.{path}" if path else "trial"


def _check_aim(place: Place, variant: Variant) -> None:
    """Refuse an axis that changes the FLOPs after another has solved for them."""
    if place.aim is None or abs(variant.flops / place.aim.flops - 1) <= place.aim.tolerance:
        return
    number = max(number for number, point in enumerate(place.points) if point.aim == place.aim)
    raise SpecError(
        f"axes[{number}]: {place.aim.flops:g} FLOPs: expected it after all axes that change FLOPs,"
        f" the whole trial has {variant.flops:.4g}",
        place=("axes", number),
    )


def _check_left(sweep: Sweep, left: Left, planned: int) -> None:
    """Refuse conditions on what no trial has, and a sweep of which nothing is left."""
    unknown = left.asked - left.found
    conditions = [(("exclude", number), where) for number, where in enumerate(sweep.exclude)]
    conditions += [
        (("axes", number, "where"), axis.where)
        for number, axis in enumerate(sweep.axes)
        if isinstance(axis, When)
    ]
    for place, where in conditions:
        for field in where:
            if field in unknown:
                raise SpecError(
                    f"{spelled(place)}: expected a field of the trials, got {field}", place=place
                )
    if not planned:
        raise SpecError(
            f"exclude: expected some place to be left, all {left.excluded:,} are excluded",
            place=("exclude",),
        )


def _check_asked(sweep: Sweep, trials: Mapping[str, PlannedTrial]) -> None:
    """Refuse questions that no trial can answer; trials that stack have the same metrics and fields."""
    metrics, fields, curves = set(SUMMARY_METRICS), set[str](), set[str]()
    for variant in {trial.variant.alike: trial.variant for trial in trials.values()}.values():
        metrics |= variant.metrics
        curves |= variant.curves
        fields |= flattened(variant.dumped(variant.seed)).keys()
    check_questions(sweep, metrics, fields, curves)
