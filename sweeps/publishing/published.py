"""What the tracker is told about a trial: names, params, a thinned curve, the last numbers."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sweeps.storage.attempt import Ending
from sweeps.storage.curve import TimedPoint, same_bits
from sweeps.storage.start import Begun

KEY = "trial.key"
CONFIG = "trial.config"
LOG = "log10_"  # before what is drawn in logarithms: MLflow's scatter has no such axes
DETAILS = "trial.details"
PLANNED = "trial.planned"  # "false": an earlier plan of the sweep had this trial
OUTCOME = "outcome"
REASON = "outcome.reason"
ATTEMPTS = "trial.attempts"  # how often it was begun
DRIFT = "trial.drift"  # what of code or machine was allowed to change in the middle of it
TRACKED_MS = "trial.tracked_ms"  # when the run was asked for; of two runs the older is kept
DUPLICATE_OF = "trial.duplicate_of"  # on a deleted run: the run that has the trial
NONFINITE = "nonfinite"
NOTE = "mlflow.note.content"  # shown as the description of a run
SWEEP = "sweep.resolved"
SWEEP_NAME = "sweep.name"

LONGEST_TAG = 7_900  # characters; the tracker cuts what is longer than 8,000 without a word
CURVE_POINTS = 300  # more make the tracker's page slow, and add nothing to a picture
CURVE = "curve.csv"  # the artifact with every point, where there are more
MARK_OF_ARTIFACT = "artifact:"

Row = tuple[str, float, int, int]
"""A metric as the tracker stores it: name, value, time in ms, step."""


@dataclass(frozen=True)
class Update:
    """What the tracker does not yet know about one trial."""

    record: Mapping[str, Any]  # the trial as `trials.json` has it
    points: tuple[TimedPoint, ...]  # not yet sent
    curve: tuple[TimedPoint, ...]  # all there are, unthinned
    started_ms: int
    attempts: int
    drift: str  # often empty
    begun: Begun | None  # the newest attempt
    ending: Ending | None
    wall_s: float  # 0 before the ending


def run_name(record: Mapping[str, Any]) -> str:
    """The place of a trial on the axes, for people: `base30 width64 seed0`."""
    fields = list(record["point"])
    lasts = [field.rpartition(".")[2] for field in fields]
    words = [
        _word(last if lasts.count(last) == 1 else field, record["point"][field])
        for field, last in zip(fields, lasts, strict=True)
    ]
    return " ".join([*words, f"seed{record['config'].get('seed', 0)}"])


def params(record: Mapping[str, Any], in_logs: Collection[str] = ()) -> dict[str, str]:
    """What varies: the fields of the axes, those of `in_logs` as logarithms too, and the seed."""
    point = {field: shortly(value) for field, value in record["point"].items()}
    logs = {
        f"{LOG}{field}": f"{math.log10(record['point'][field]):.6g}"
        for field in in_logs
        if field in point
    }
    return {**point, **logs, "seed": str(record["config"].get("seed", 0))}


def shortly(value: Any) -> str:
    """A value of an axis in a few characters: 30, 0.001, null, rope(base=100)."""
    if isinstance(value, Mapping):
        rest = ",".join(
            f"{name}={shortly(inner)}" for name, inner in value.items() if name != "kind"
        )
        kind = str(value.get("kind", ""))
        return f"{kind}({rest})" if rest else kind
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _word(name: str, value: Any) -> str:
    text = shortly(value)
    return f"{name}{text}" if text[:1].isdecimal() else f"{name}={text}"


def thinned(
    points: Sequence[TimedPoint], record: Mapping[str, Any], *, ended: bool
) -> tuple[TimedPoint, ...]:
    """At most `CURVE_POINTS` points, evenly spaced in the logarithm of the step.

    A point is kept or not by its step, the step before it and the planned last step, so a longer
    curve keeps what a shorter one had kept; only the last point of a trial is added when it ends.
    """
    planned = record["config"].get("evaluation", {}).get("points", record["steps"])
    if planned <= CURVE_POINTS:
        return tuple(points)
    scale = _scale(record["steps"], planned)
    kept: list[TimedPoint] = []
    bucket = -1
    for point in points:
        previous, bucket = bucket, int(scale * math.log1p(point.step))
        if bucket != previous:
            kept.append(point)
    if ended and points and kept[-1] is not points[-1]:
        kept.append(points[-1])
    return tuple(kept)


@lru_cache(maxsize=1_000)
def _scale(steps: int, planned: int) -> float:
    """How many buckets an e-fold of the step has, for as many kept points as are allowed.

    Where points are further apart than buckets each is kept, so there are fewer than buckets.
    """
    logs = [math.log1p(steps * number // planned) for number in range(1, planned + 1)]
    low, high = 1.0, float(planned)  # too coarse, and more than fine enough
    for _ in range(40):
        scale = math.sqrt(low * high)
        if len({int(scale * log) for log in logs}) < CURVE_POINTS:
            low = scale
        else:
            high = scale
    return low


def rows_of_point(point: TimedPoint) -> list[Row]:
    """The rows of one point; infinities are left out, because the tracker makes 1.8e308 of them.

    A tag, `nonfinite`, says which were left out; the ledger has them all.
    """
    return [
        (name, value, point.time_ms, point.step)
        for name, value in point.values.items()
        if not math.isinf(value)
    ]


def rows_of_ending(update: Update, ending: Ending) -> list[Row]:
    """The last metrics that the curve does not have, and the numbers of the whole trial.

    What a trial has once stands at step 0: MLflow draws that as bars, and all else as curves. A
    trial that failed has none of them: it may be tried again, and then they would be there twice.
    """
    if ending.outcome.name == "failed":
        return []
    last = update.curve[-1].values if update.curve else {}
    in_curves = {name for point in update.curve for name in point.values}
    once = dict(summary(update, ending))
    again: dict[str, float] = {}
    for name, value in ending.outcome.metrics.items():
        if name not in in_curves:
            once[name] = value
        elif name not in last or not same_bits({name: value}, {name: last[name]}):
            again[name] = value
    drawn = {name: value for name, value in {**last, **once, **again}.items() if has_log(name)}
    once |= {f"{LOG}{name}": math.log10(value) for name, value in drawn.items() if value > 0}
    return [
        *rows_of_point(TimedPoint(0, ending.time_ms, once)),
        *rows_of_point(TimedPoint(ending.outcome.step, ending.time_ms, again)),
    ]


def has_log(name: str) -> bool:
    """Whether a metric is published in logarithms, too: the size, and losses on a test set."""
    return name == "params" or name.endswith("_loss")


def log_fields(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The fields of axes that are drawn in logarithms: positive numbers, the largest 30 times the least."""
    values: dict[str, set[Any]] = {}
    for record in records:
        for field, value in record["point"].items():
            values.setdefault(field, set()).add(value if is_number(value) else 0)
    return tuple(field for field, found in values.items() if max(found) >= 30 * min(found) > 0)


def is_number(value: Any) -> bool:
    """Whether MLflow's charts take a value of an axis for a number; `true` they do not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def summary(update: Update, ending: Ending) -> dict[str, float]:
    """Numbers that every trial has: its size, what training it took, and whether it diverged."""
    record, outcome = update.record, ending.outcome
    # A trial that ended early has spent only its share of the plan.
    share = min(1.0, outcome.step / record["steps"])
    spent = {
        name: float(record[name]) if share == 1.0 else record[name] * share
        for name in ("flops", "examples", "tokens")
        if name in record
    }
    return {
        **{name: float(record[name]) for name in ("params", "embedding_params") if name in record},
        **spent,
        "wall_s": update.wall_s,
        "diverged": float(outcome.name == "diverged"),
    }


def texts_of_ending(update: Update, ending: Ending) -> dict[str, str]:
    """How and why a trial ended, and what it found that is not a number."""
    outcome, infinite = ending.outcome, nonfinite(update, ending)
    why = f"{outcome.name} at step {outcome.step:,}: {outcome.reason}" if outcome.reason else ""
    texts = {
        NOTE: why[:LONGEST_TAG],  # for people; the tag below has it whole
        REASON: outcome.reason,
        NONFINITE: json.dumps(infinite) if infinite else "",
        DETAILS: json.dumps(outcome.details) if outcome.details else "",
        ATTEMPTS: str(update.attempts),
    }
    return {OUTCOME: outcome.name, **{name: text for name, text in texts.items() if text}}


def nonfinite(update: Update, ending: Ending) -> dict[str, dict[str, Any]]:
    """The metrics that were infinite or NaN: since which step, and the last value if it was so too."""
    found: dict[str, dict[str, Any]] = {}
    ended = TimedPoint(ending.outcome.step, ending.time_ms, ending.outcome.metrics)
    for point in (*update.curve, ended):
        for name, value in point.values.items():
            if not math.isfinite(value):
                found.setdefault(name, {"from_step": point.step})["last"] = repr(value)
            elif name in found:
                found[name].pop("last", None)
    return found


def last_infinities(tag: str) -> dict[str, float]:
    """The last values that the tracker could not take, from the tag that `nonfinite` made."""
    return {name: float(was["last"]) for name, was in json.loads(tag).items() if "last" in was}


def batches(groups: Sequence[list[Row]], most: int) -> list[list[Row]]:
    """Rows joined into calls of at most `most`; rows of one group stay together."""
    joined: list[list[Row]] = []
    for group in groups:
        if not joined or len(joined[-1]) + len(group) > most:
            joined.append([])
        joined[-1].extend(group)
    return joined


def curve_text(curve: Sequence[TimedPoint]) -> str:
    """The whole curve as CSV, for who wants the points that were thinned away."""
    names = list(dict.fromkeys(name for point in curve for name in point.values))
    lines = [",".join(["step", "time_ms", *names])]
    for point in curve:
        values = [repr(point.values[name]) if name in point.values else "" for name in names]
        lines.append(",".join([str(point.step), str(point.time_ms), *values]))
    return "\n".join(lines) + "\n"
