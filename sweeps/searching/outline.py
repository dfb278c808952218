"""A search before it starts: its cells, and points that stand for its space, as valid trials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from sweeps.limits import Limits
from sweeps.planning.plan import SUMMARY_METRICS, Plan, PlannedTrial, plan
from sweeps.search import Search
from sweeps.searching.points import Point, axes_through, lies_in, looked_at, written
from sweeps.spec import SpecError, Sweep
from trainers.config import TrialConfig
from trainers.data.task import measured_once
from trainers.schema import InputError

_AXES: TypeAdapter[Any] = TypeAdapter(get_type_hints(Sweep, include_extras=True)["axes"])


@dataclass(frozen=True)
class Outline:
    """What is known of a search from its file alone."""

    sweep: Sweep
    search: Search
    cells: tuple[Point, ...]  # places on the axes; one without fields where there are none
    samples: Plan  # points that stand for the space, as trials

    def trial(self, cell: Mapping[str, Any], point: Mapping[str, Any]) -> PlannedTrial | None:
        """The trial at a point of the space in one cell; None where there can be none."""
        place = {**cell, **point}
        one = _with_axes(self.sweep, axes_through([place]))
        try:
            trials = plan(one).trials
        except InputError:  # the ends of a range are valid trials, and a value between them is not
            return None
        return trials[0] if trials else None

    def again(self, record: Mapping[str, Any]) -> tuple[Point, Point, PlannedTrial] | None:
        """Cell, point and trial of a stored record; None if it is no longer one of this search."""
        point, space = record["point"], self.search.space
        cell = {field: value for field, value in point.items() if field not in space}
        if written(cell) not in map(written, self.cells) or not lies_in(point, space):
            return None
        inner = {field: point[field] for field in space}
        trial = self.trial(cell, inner)
        return (cell, inner, trial) if trial is not None and trial.key == record["key"] else None


def outline(sweep: Sweep, search: Search) -> Outline:
    """Look at a search from all sides before anything starts.

    Raises:
        SpecError: the space holds what no trial can be, or the search cannot be what is meant.
    """
    _check_search(sweep, search)
    rows = looked_at(search.space)
    own = axes_through(rows)
    try:
        samples = plan(_with_axes(sweep, [*_dumped(sweep), *own]))
    except SpecError as error:
        raise _about_space(error, len(sweep.axes), search) from error
    space = search.space
    cells = [
        {field: value for field, value in trial.point.items() if field not in space}
        for trial in samples.trials
    ]
    found = Outline(sweep, search, tuple({written(cell): cell for cell in cells}.values()), samples)
    places = search.places()
    if places is not None and search.trials > places * len(found.cells):
        raise SpecError(
            f"search.trials: expected at most {places * len(found.cells):,}, the places of the space,"
            f" got {search.trials:,}; a plan with axes tries each once",
            place=("search", "trials"),
        )
    if len(found.cells) > search.trials:
        raise SpecError(
            f"search.trials: expected at least one for each of the {len(found.cells):,} cells of the"
            f" axes, got {search.trials:,}",
            place=("search", "trials"),
        )
    for trial in samples.trials:
        _check_objective(sweep, search, trial.config)
    return found


def _check_search(sweep: Sweep, search: Search) -> None:
    if sweep.replicates != 1:
        raise SpecError(
            f"replicates: expected 1 beside search, got {sweep.replicates}: a search ranks single"
            " trials; repeat the best of them with axes and replicates in a sweep of its own",
            place=("replicates",),
        )
    on_axes = {field for axis in sweep.axes for field in axis.may_set()}
    for field in search.space:
        if field in on_axes:
            raise SpecError(
                f"search.space: expected each field in the space or on an axis, got {field} in both",
                place=("search", "space", field),
            )


def _check_objective(sweep: Sweep, search: Search, config: TrialConfig) -> None:
    metric = sweep.objective.metric
    place = ("objective", "metric")
    if metric in SUMMARY_METRICS:
        raise SpecError(
            f"objective.metric: expected what a test measures where trials are searched, got {metric}",
            place=place,
        )
    if search.scheduler.kind == "none":
        return
    once = measured_once(config.task)
    if metric in once or metric.startswith("pruned_"):
        raise SpecError(
            f"objective.metric: expected a metric that every report has, so that"
            f" {search.scheduler.kind} can judge by it, got {metric}",
            place=place,
        )
    if config.evaluation.points < 2:
        raise SpecError(
            f"trial.evaluation.points: expected at least 2, so that {search.scheduler.kind} can stop a"
            f" trial before its end, got {config.evaluation.points}",
            place=("trial", "evaluation", "points"),
        )


def _with_axes(sweep: Sweep, axes: list[dict[str, Any]]) -> Sweep:
    """The same trial without search, on these axes."""
    given = {"search": None, "budget": Limits(), "axes": _AXES.validate_json(json.dumps(axes))}
    return sweep.model_copy(update=given)


def _dumped(sweep: Sweep) -> list[dict[str, Any]]:
    return [json.loads(axis.model_dump_json()) for axis in sweep.axes]


def _about_space(error: SpecError, axes: int, search: Search) -> SpecError:
    """The error in words of the space, where it is about the axis that stands for the space."""
    if error.place is None or error.place[:2] != ("axes", axes):
        return error
    words = str(error).removeprefix(f"axes[{axes}]: ").partition(": ")
    field = words[0].partition(" = ")[0]
    place = ("search", "space", field) if field in search.space else ("search", "space")
    return SpecError(f"search.space: {words[0]}: {words[2]}", place=place)
