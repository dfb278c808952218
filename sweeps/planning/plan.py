"""Expand a sweep into trials, validate every one, and name each by its content. Needs no cluster."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sweeps.axis import Point
from sweeps.spec import SpecError, Sweep
from trainers.config import TrialConfig, trial_config
from trainers.schema import InputError, flattened, shown, spelled

SUMMARY_METRICS = frozenset(
    {"params", "embedding_params", "flops", "examples", "tokens", "wall_s", "diverged"}
)
"""Numbers that every trial has, without its task reporting them."""


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a sweep: where it lies on the axes, and what it costs."""

    key: str
    config: TrialConfig
    point: Point
    replicate: int
    params: int  # non-embedding
    flops: int  # of the whole training

    def record(self) -> dict[str, Any]:
        """What the storage folder keeps of the trial."""
        config = self.config
        return {
            "key": self.key,
            "config": config.model_dump(),
            "point": self.point,
            "replicate": self.replicate,
            "params": self.params,
            "embedding_params": config.cost().embedding_params,
            "flops": self.flops,
            "examples": config.examples,
            "tokens": config.examples * config.tokens_of_example(),
            "steps": config.steps,
        }


@dataclass(frozen=True)
class Plan:
    """Every trial of a sweep, each once."""

    sweep: Sweep
    trials: tuple[PlannedTrial, ...]
    duplicates: int  # places in the space that name a trial which is there already


def plan(sweep: Sweep) -> Plan:
    """Expand a sweep into trials; the last axis varies fastest, and replicates faster still.

    Every configuration is validated here, before a worker starts.

    Raises:
        SpecError: an axis names a field or a value that a trial rejects, or the report, a claim or
            the objective asks for what no trial has.
    """
    trials: dict[str, PlannedTrial] = {}
    places = 0
    for point, first in _configs(sweep):
        cost = first.cost()
        for replicate in range(sweep.replicates):
            config = first.model_copy(update={"seed": first.seed + replicate})
            key = config.key()
            places += 1
            trials.setdefault(
                key,
                PlannedTrial(
                    key, config, point, replicate, cost.params, config.examples * cost.flops
                ),
            )
    planned = Plan(sweep, tuple(trials.values()), places - len(trials))
    _check_questions(planned)
    return planned


def _configs(sweep: Sweep) -> Iterator[tuple[Point, TrialConfig]]:
    """Each point of the space with its config of the first replicate."""
    axes = [list(enumerate(axis.points())) for axis in sweep.axes]
    for chosen in product(*axes):
        point: Point = {field: value for _, part in chosen for field, value in part.items()}
        fields = json.loads(json.dumps(sweep.trial))  # a copy, which the point may change
        for field, value in point.items():
            _set(fields, field, value)
        try:
            yield point, trial_config(fields)
        except InputError as error:
            path, _, words = str(error).partition(": ")
            if not words or " " in path:  # no place, but words up to a colon
                path, words = "", str(error)
            place, text = _where_written(sweep, path, [number for number, _ in chosen])
            raise SpecError(f"{text}: {words}", place=place) from error


def _set(fields: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        inner = fields.setdefault(part, {})
        if inner is None:
            inner = fields[part] = {}
        if not isinstance(inner, dict):
            raise SpecError(
                f"axes: {path} lies inside {part}, which is {shown(inner)}", place=("axes",)
            )
        fields = inner
    fields[last] = value


def _where_written(
    sweep: Sweep, path: str, chosen: Sequence[int]
) -> tuple[tuple[str | int, ...], str]:
    """The place in the sweep file that set a field: a value of an axis, or the trial itself."""
    for number, axis in enumerate(sweep.axes):
        for field, value in axis.points()[chosen[number]].items():
            if f"{path}.".startswith(f"{field}.") or f"{field}.".startswith(f"{path}."):
                return ("axes", number), f"axes[{number}]: {field} = {shown(value)}"
    parts = re.findall(r"[^.\[\]]+", path)
    place = tuple(int(part) if part.isdecimal() else part for part in parts)
    return ("trial", *place), f"trial.{path}" if path else "trial"


def _check_questions(planned: Plan) -> None:
    """Refuse a report, claims or an objective that no trial of the sweep could answer."""
    first_of_point = {json.dumps(trial.point): trial for trial in planned.trials}
    configs = [trial.config for trial in first_of_point.values()]
    metrics = SUMMARY_METRICS.union(*(config.metrics() for config in configs))
    fields = frozenset().union(*(flattened(config.model_dump()) for config in configs))
    sweep, report = planned.sweep, planned.sweep.report

    def metric(name: str | None, *place: str | int) -> None:
        if name is not None and name not in metrics:
            known = ", ".join(sorted(metrics))
            raise SpecError(f"{spelled(place)}: expected one of {known}, got {name}", place=place)

    def field(name: str, *place: str | int) -> None:
        if name not in fields and name not in metrics:
            raise SpecError(
                f"{spelled(place)}: expected a field of the trials, got {name}", place=place
            )

    metric(sweep.objective.metric, "objective", "metric")
    for number, claim in enumerate(sweep.claims):
        metric(getattr(claim, "metric", None), "claims", number, "metric")
        for name in [*claim.where, *getattr(claim, "needs", {})]:
            field(name, "claims", number, "where")
    for number, table in enumerate(report.tables):
        for name in (*table.metrics, table.beside):
            metric(name, "report", "tables", number, "metrics")
        for name in (*table.rows, *table.where):
            field(name, "report", "tables", number, "rows")
    for number, contrast in enumerate(report.contrasts):
        metric(contrast.metric, "report", "contrasts", number, "metric")
        for name in (contrast.field, *contrast.rows, *contrast.where):
            field(name, "report", "contrasts", number, "field")
    for number, fit in enumerate(report.fits):
        metric(fit.metric, "report", "fits", number, "metric")
        for name in (*fit.inputs.values(), *fit.split, *fit.where):
            field(name, "report", "fits", number, "inputs")
