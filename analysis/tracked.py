"""The trials of a sweep, read back from its tracking server."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.runs import Omitted, Runs
from sweeps.spec import Sweep
from sweeps.tracking import TrackedTrial, read_trials


def load_runs(tracking_uri: str, sweep_name: str) -> tuple[Sweep, Runs]:
    """The sweep as it was run, and its trials: the finished ones to fit, the others with a reason."""
    sweep, trials = read_trials(tracking_uri, sweep_name)
    return sweep, as_runs(trials)


def as_runs(trials: Sequence[TrackedTrial]) -> Runs:
    """Finished trials as a table with fields, metrics and details as columns; the rest is omitted."""
    ordered = sorted(trials, key=lambda one: one.key)
    finished = [one for one in ordered if one.outcome == "finished"]
    rows: list[dict[str, Any]] = [
        {
            **one.details,
            **{name: float(value) for name, value in one.metrics.items()},
            **one.fields,
        }
        for one in finished
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    # As objects, because pandas would turn a field that is None into NaN and 64 into 64.0.
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    table = pd.DataFrame(columns)
    table.index = pd.Index([one.key for one in finished], dtype=object)
    return Runs(
        table,
        tuple(
            Omitted(one.key, one.reason or _default(one.outcome), one.outcome, dict(one.fields))
            for one in ordered
            if one.outcome != "finished"
        ),
    )


def _default(outcome: str) -> str:
    return "not finished yet" if outcome == "running" else f"{outcome}; no reason was recorded"
