"""Refuses milestones, thresholds, plots and fits of thresholds that no trial of a sweep could answer."""

from collections.abc import Iterable, Sequence, Set

from sweeps.plots import OVER_TRAINING
from sweeps.spec import ReportSpec, SpecError
from trainers.schema import spelled

_AS_THEY_TRAIN = ", which trials report as they train"


def with_milestones(
    report: ReportSpec, metrics: Set[str], fields: Set[str], curves: Set[str]
) -> frozenset[str]:
    """The metrics of the trials, with those that milestones add.

    Raises:
        SpecError: a milestone is of no metric that trials report as they train, or its name is taken.
    """
    known = set(metrics)
    for number, one in enumerate(report.milestones):
        place = ("report", "milestones", number)
        _one_of(one.metric, curves, _AS_THEY_TRAIN, *place, "metric")
        if one.name in known or one.name in fields or one.name in OVER_TRAINING:
            raise _error(
                "expected a name that no metric and no field has", one.name, *place, "name"
            )
        known.add(one.name)
    return frozenset(known)


def check_plots(report: ReportSpec, metrics: Set[str], fields: Set[str], curves: Set[str]) -> None:
    """Check thresholds, the fits of them, and plots; `metrics` has the milestones, too.

    Raises:
        SpecError: one asks for a metric, a field or a threshold that there is not.
    """
    known = metrics | fields
    taken = set(known)
    for number, one in enumerate(report.thresholds):
        place = ("report", "thresholds", number)
        if one.name in taken:
            words = "expected a name that no metric, field or threshold has"
            raise _error(words, one.name, *place, "name")
        taken.add(one.name)
        _one_of(one.metric, metrics, "", *place, "metric")
        _fields([one.field], known, *place, "field")
        _fields(one.by, known, *place, "by")
        _fields(one.where, known, *place, "where")
    _check_fits(report)
    for number, one in enumerate(report.plots):
        place = ("report", "plots", number)
        drawn, why = (curves, _AS_THEY_TRAIN) if one.over_training else (metrics, "")
        for metric in (*one.y, *([one.beside] if one.beside else [])):
            _one_of(metric, drawn, why, *place, "beside" if metric == one.beside else "y")
        if not one.over_training:
            _fields([one.x], known, *place, "x")
        _fields(one.by, known, *place, "by")
        _fields(one.where, known, *place, "where")


def _check_fits(report: ReportSpec) -> None:
    """A fit of a threshold knows the columns of its rows, and no other."""
    thresholds = {one.name: one for one in report.thresholds}
    for number, fit in enumerate(report.fits):
        if fit.of is None:
            continue
        place = ("report", "fits", number)
        if fit.of not in thresholds:
            names = ", ".join(thresholds) or "none, there are no thresholds"
            raise _error(f"expected the name of a threshold ({names})", fit.of, *place, "of")
        if fit.metric != fit.of:
            words = f"expected {fit.of}, the value of its rows, or nothing"
            raise _error(words, fit.metric, *place, "metric")
        columns = thresholds[fit.of].by
        for name in (*fit.inputs.values(), *fit.split, *fit.where):
            _one_of(name, columns, f", which {fit.of} has by", *place, "inputs")


def _fields(names: Iterable[str], known: Set[str], *place: str | int) -> None:
    for name in names:
        if name not in known:
            raise _error("expected a field of the trials", name, *place)


def _one_of(name: str, known: Set[str] | Sequence[str], why: str, *place: str | int) -> None:
    if name not in known:
        listed = ", ".join(sorted(known)) if isinstance(known, Set) else ", ".join(known)
        raise _error(f"expected one of {listed or 'none'}{why}", name, *place)


def _error(expected: str, got: str, *place: str | int) -> SpecError:
    return SpecError(f"{spelled(place)}: {expected}, got {got}", place=place)
