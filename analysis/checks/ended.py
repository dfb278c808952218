"""Trials that did not finish: counted where they happened, and given to fits as lower bounds."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from scipy import special

from analysis.checks.columns import Design, listed, plain, short
from analysis.identify.findings import Finding
from analysis.runs import Omitted, Runs, is_number, is_positive, rows_of
from trainers.schema import InputError

# Without the worst tenth of a normal sample its mean is a fifth of a standard deviation too low.
MANY = 0.1

Unit = Literal["steps", "examples", "tokens", "flops"]
ENDED_EARLY = ("diverged", "stopped")

_OF_MODEL = ("model.", "encoding.", "answer_encoding.", "task.")
_OF_RUN = (*_OF_MODEL, "budget.", "batch_size")
_SPENT = ("flops", "examples", "tokens", "wall_s")  # a trial that ended early has part of them


@dataclass(frozen=True)
class Ended:
    """The trials of one cell: its inputs, how many finished, and how many ended in which way."""

    cell: tuple[tuple[str, str], ...]
    finished: int
    diverged: int
    stopped: int

    @property
    def share(self) -> float:
        """The share that diverged or was stopped."""
        early = self.diverged + self.stopped
        return early / max(early + self.finished, 1)


def ended_trials(design: Design) -> tuple[Ended, ...]:
    """For every cell of equal inputs how its trials ended; running and failed ones are not counted.

    What a trial never reported (its tokens, say) is taken from a finished trial with the same model
    and budget; "" where there is none. A target that is infinite or NaN counts as diverged.
    """
    columns = list(design.inputs.values())
    of_model, of_run = _known(design, columns, _OF_MODEL), _known(design, columns, _OF_RUN)
    counts: dict[tuple[tuple[str, str], ...], Counter[str]] = {}

    def count(row: Mapping[str, Any], outcome: str) -> None:
        cell = tuple((name, plain(row.get(name))) for name in columns)
        counts.setdefault(cell, Counter())[outcome] += 1

    for row in rows_of(design.runs.table[[*dict.fromkeys([*columns, design.target])]]):
        if isinstance(row[design.target], int | float):
            count(row, "finished" if is_number(row[design.target]) else "diverged")
    for one in design.runs.omitted:
        if one.outcome in ENDED_EARLY:
            own = {name: value for name, value in one.fields.items() if name not in _SPENT}
            same_model = of_model.get(_named(own, _OF_MODEL), {})
            same_run = of_run.get(_named(own, _OF_RUN), {})
            count({**same_model, **same_run, **own}, one.outcome)
    return tuple(
        Ended(cell, found["finished"], found["diverged"], found["stopped"])
        for cell, found in sorted(counts.items(), key=lambda item: _ordering(item[0]))
    )


def survivors_only(design: Design) -> Iterator[Finding]:
    """Cells of which many trials diverged or were stopped: the rest are the lucky ones."""
    early = any(one.outcome in ENDED_EARLY for one in design.runs.omitted)
    if not early and bool(design.measured().all()):
        return
    bad = [one for one in ended_trials(design) if one.share > MANY]
    if not bad:
        return
    worst = max(bad, key=lambda one: one.share)
    places = listed([_described(one) for one in bad], 4)
    yield Finding(
        "survivors_only",
        f"of the trials at {places}: those that are left are the lucky ones (if the "
        f"{worst.share:.0%} were the worst, the mean of the rest lies "
        f"{lowered(worst.share):.2g} standard deviations on the good side); run these cells again with "
        "half the learning rate or clipping, or fit the share that survives beside the loss",
    )


def lowered(share: float) -> float:
    """By how many standard deviations a normal mean falls when its highest `share` is left out.

    Source: the mean of a normal variable below its quantile z is -phi(z) / Phi(z).
    """
    if not 0 <= share < 1:
        return math.inf
    if share == 0:
        return 0.0
    at = float(special.ndtri(1 - share))
    return math.exp(-at * at / 2) / math.sqrt(2 * math.pi) / (1 - share)


def censored_runs(
    runs: Runs, target: str, unit: Unit = "steps", ended: tuple[str, ...] = ENDED_EARLY
) -> Runs:
    """The runs with those that never reached the target, as lower bounds: a column `censored`.

    `target` says after how many steps, examples, ... (its `unit`) something was reached. A finished
    trial without it ran its whole budget, and a trial that was stopped what it had spent by then, so
    the target is at least that: the row holds that bound and `censored` 1. Trials that failed, are
    still running or spent an unknown amount stay omitted. A diverged trial would never have reached
    it; name only `stopped` in `ended` where divergence and speed have one cause.

    Raises:
        InputError: no run has the target, or a finished run without it has no known budget.
    """
    if target not in runs.table.columns:
        raise InputError(f"{target}: expected a metric of the runs, there is none")
    rows: list[dict[str, Any]] = []
    keys: list[str] = []
    for key, row in zip(runs.table.index, rows_of(runs.table), strict=True):
        value = row[target]
        reached = is_number(value)
        bound = float(value) if reached else spent(row, unit, finished=True)
        if bound is None:
            raise InputError(
                f"{target}: expected a number, or the {unit} that were spent without reaching it, "
                f"got neither in {key}"
            )
        rows.append({**row, target: bound, "censored": 0 if reached else 1})
        keys.append(str(key))
    left: list[Omitted] = []
    for one in runs.omitted:
        bound = spent(one.fields, unit, finished=False) if one.outcome in ended else None
        if bound is None:
            left.append(one)
        else:
            rows.append({**one.fields, target: bound, "censored": 1})
            keys.append(one.key)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    table = pd.DataFrame(columns)
    table.index = pd.Index(keys, dtype=object)
    return Runs(table, tuple(left))


def spent(row: Mapping[str, Any], unit: Unit, *, finished: bool) -> float | None:
    """What a trial has spent, from its own numbers; None where they do not tell.

    The planned budget is what a finished trial has spent, and no other.
    """
    if is_positive(row.get(unit)):
        return float(row[unit])
    examples, batch = row.get("examples"), row.get("batch_size")
    if unit == "steps" and is_positive(examples) and is_positive(batch):
        return float(round(examples / batch))
    planned = row.get(f"budget.{unit}")
    return float(planned) if finished and is_positive(planned) else None


def _known(design: Design, columns: list[str], parts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The inputs that follow from some fields, as far as finished trials agree on them."""
    found: dict[str, dict[str, Any]] = {}
    clash: set[tuple[str, str]] = set()
    if not any(one.outcome in ENDED_EARLY for one in design.runs.omitted):
        return found
    for row in rows_of(design.runs.table):
        named = _named(row, parts)
        for name in columns:
            if named and found.setdefault(named, {}).setdefault(name, row[name]) != row[name]:
                clash.add((named, name))
    for named, name in clash:
        del found[named][name]
    return found


def _named(row: Mapping[str, Any], parts: tuple[str, ...]) -> str:
    fields = sorted(name for name in row if name.startswith(parts))
    return "|".join(f"{name}={plain(row[name])}" for name in fields)


def _described(one: Ended) -> str:
    where = ", ".join(f"{name} {_spelled(value)}" for name, value in one.cell) or "all settings"
    total = one.finished + one.diverged + one.stopped
    parts = [("diverged", one.diverged), ("were stopped", one.stopped)]
    words = " and ".join(f"{count} {word}" for word, count in parts if count)
    return f"{where}, {words} of {total}"


def _spelled(value: str) -> str:
    try:
        return short(float(value))
    except ValueError:
        return value or "unknown"


def _ordering(cell: tuple[tuple[str, str], ...]) -> tuple[tuple[float, str], ...]:
    def one(value: str) -> tuple[float, str]:
        try:
            return float(value), ""
        except ValueError:
            return math.inf, value

    return tuple(one(value) for _, value in cell)
