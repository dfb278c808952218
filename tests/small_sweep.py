"""A sweep as the ledger holds it, without training: three axes, two replicates, made-up curves."""

import hashlib
import json
import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from sweeps.spec import Sweep, resolved_text
from sweeps.storage.ledger import Ledger
from trainers.result import Outcome, Point

STEPS = 4_000
START_MS = 1_700_000_000_000


def sweep_of(name: str, bases: tuple[int, ...]) -> Sweep:
    """A sweep over bases, widths and sizes of the training set."""
    axes = {"encoding.base": bases, "model.width": (32, 64), "data.distinct": (2_000, None)}
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": name,
                "about": "How many GCDs are learned in base B?",
                "trial": {"task": {"kind": "gcd"}},
                "axes": [{"kind": "values", "field": f, "values": v} for f, v in axes.items()],
                "replicates": 2,
                "objective": {"metric": "accuracy", "mode": "max"},
            }
        )
    )


def records_of(sweep: Sweep, points: int = 5) -> list[dict[str, Any]]:
    """The trials of the sweep as a launch stores them."""
    columns = [
        [(field, value) for value in axis.listed(field)]
        for axis in sweep.axes
        for field in axis.may_set()
    ]
    places = [dict(chosen) for chosen in product(*columns)]
    return [_record(place, seed, points) for place in places for seed in range(sweep.replicates)]


def _record(place: Mapping[str, Any], seed: int, points: int) -> dict[str, Any]:
    config = {
        "task": {"kind": "gcd", "largest": 1_000_000},
        "encoding": {"kind": "digits", "base": place["encoding.base"]},
        "data": {"distinct": place["data.distinct"]},
        "model": {"kind": "transformer", "width": place["model.width"]},
        "evaluation": {"points": points},
        "seed": seed,
    }
    params = 24 * place["model.width"] ** 2
    return {
        "key": hashlib.sha256(json.dumps(config).encode()).hexdigest()[:20],
        "config": config,
        "point": dict(place),
        "replicate": seed,
        "params": params,
        "flops": 6 * params * STEPS * 64,
        "examples": STEPS * 64,
        "tokens": STEPS * 64 * 10,
        "steps": STEPS,
    }


def curve_of(record: Mapping[str, Any]) -> list[Point]:
    """Every point that the trial would report, a function of the record alone."""
    count, top = record["config"]["evaluation"]["points"], _top(record)
    steps = [STEPS * number // count for number in range(1, count + 1)]
    return [
        Point(
            step,
            {
                "loss": 3.0 * math.exp(-2 * top * step / STEPS),
                "test_loss": 0.1 + 3.0 * math.exp(-2 * top * step / STEPS),
                "accuracy": top * (1 - math.exp(-5 * step / STEPS)),
            },
        )
        for step in steps
    ]


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """What a trial that finishes ends with."""
    return Outcome(
        "finished", STEPS, {"correct_gcds": float(round(30 * _top(record)))}, {"learned": [1, 2]}
    )


def write_trial(ledger: Ledger, record: Mapping[str, Any], *, until: int | None = None) -> None:
    """One attempt: its first `until` points, or all of them and the outcome."""
    attempt = ledger.trial(record["key"]).begin(record["config"])
    for number, point in enumerate(curve_of(record)[:until]):
        attempt.append([point], START_MS + 1_000 * number)
    if until is None:
        attempt.finish(outcome_of(record))


def store(ledger: Ledger, sweep: Sweep, records: list[dict[str, Any]]) -> None:
    """What a launch writes before it trains."""
    ledger.sweep(sweep.name).write_plan(resolved_text(sweep), records)


def _top(record: Mapping[str, Any]) -> float:
    even = record["point"]["encoding.base"] % 2 == 0
    return (0.9 if even else 0.6) + 0.01 * record["config"]["seed"]
