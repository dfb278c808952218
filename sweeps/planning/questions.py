"""Refuses a report, claims or an objective that no trial of a sweep could answer."""

from collections.abc import Set

from sweeps.spec import SpecError, Sweep
from trainers.schema import spelled


def check_questions(sweep: Sweep, metrics: Set[str], fields: Set[str]) -> None:
    """Refuse to ask for a metric or a field that no trial has.

    Raises:
        SpecError: the report, a claim or the objective does.
    """
    report = sweep.report

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
