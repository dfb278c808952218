"""Trials as runs: a trial that did not finish is never dropped, it is listed with its reason."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from analysis.runs import Omitted, Runs


@runtime_checkable
class Trial(Protocol):
    """What a tracker knows of one trial."""

    @property
    def key(self) -> str: ...  # noqa: D102

    @property
    def outcome(self) -> str: ...  # noqa: D102

    @property
    def reason(self) -> str: ...  # noqa: D102

    @property
    def fields(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def metrics(self) -> dict[str, float]: ...  # noqa: D102

    @property
    def details(self) -> dict[str, Any]: ...  # noqa: D102


def as_runs(trials: Sequence[Trial]) -> Runs:
    """Finished trials as a table of fields, metrics and details; the others are omitted."""
    ordered = sorted(trials, key=lambda one: one.key)
    finished = [one for one in ordered if one.outcome == "finished"]
    rows = [{**one.details, **_numbers(one)} for one in finished]
    names = list(dict.fromkeys(name for row in rows for name in row))
    # As objects, because pandas would turn a field that is None into NaN and 64 into 64.0.
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    table = pd.DataFrame(columns)
    table.index = pd.Index([one.key for one in finished], dtype=object)
    return Runs(
        table,
        tuple(
            Omitted(
                one.key,
                one.reason or _default(one.outcome),
                one.outcome,
                _numbers(one),  # with what it spent, a bound of what it never reached
            )
            for one in ordered
            if one.outcome != "finished"
        ),
    )


def _numbers(trial: Trial) -> dict[str, Any]:
    """Fields and metrics; `loss` is both, and what was measured is what fits and tables mean."""
    return {**trial.fields, **{name: float(value) for name, value in trial.metrics.items()}}


def _default(outcome: str) -> str:
    return "not finished yet" if outcome == "running" else f"{outcome}; no reason was recorded"
