"""Planning 10,000 trials against validating and hashing each config by itself, in one process.

Run `python -m tests.benchmarks.bench_plan`; it takes about a minute. All times are seconds of processor
time, the fastest of some turns. A plan must be 10 times faster than the plain way for trials that
differ in a few values (8 times without replicates), and twice where each has values of its own.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeps.planning.cost import price
from sweeps.planning.document import plan_text
from sweeps.planning.plan import Plan, plan
from sweeps.spec import Sweep
from sweeps.storage.ledger import Ledger
from trainers.config import trial_config

TURNS = 3
RIVAL_TRIALS = 1_000  # of the 10,000: the plain way takes each alike

TRIAL = {
    "task": {"kind": "gcd", "largest": 1_000_000},
    "encoding": {"kind": "digits", "base": 10},
    "model": {"kind": "transformer", "width": 32, "heads": 2},
    "optimizer": {"kind": "adam", "lr": 4e-3},
    "batch_size": 32,
    "budget": {"examples": 42_000},
}
GRID: list[dict[str, Any]] = [
    {"kind": "values", "field": "encoding.base", "values": [6, 10, 12, 30, 31]},
    {"kind": "values", "field": "model.width", "values": [16, 32, 48, 64]},
    {"kind": "log_range", "field": "optimizer.lr", "low": 1e-4, "high": 1e-1, "count": 50},
    {"kind": "values", "field": "data.distinct", "values": [None, 4_000]},
]
DRAWN: list[dict[str, Any]] = [
    {
        "kind": "random",
        "draws": 10_000,
        "fields": {
            "optimizer.lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1},
            "model.width": {"kind": "whole", "low": 16, "high": 256, "step": 16},
            "budget.examples": {"kind": "log_whole", "low": 10_000, "high": 1_000_000},
        },
    }
]
SWEEPS = {  # axes, replicates, how many times faster it must be
    "2,000 places, 5 replicates": (GRID, 5, 10.0),
    "10,000 places": ([*GRID[:2], {**GRID[2], "count": 250}, GRID[3]], 1, 8.0),
    "10,000 random draws of 3 fields": (DRAWN, 1, 2.0),
}


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the fastest turn."""
    turns: list[float] = []
    for _ in range(TURNS):
        started = time.process_time()
        work()
        turns.append(time.process_time() - started)
    return min(turns)


def a_sweep(axes: list[dict[str, Any]], replicates: int) -> Sweep:
    """The sweep as its file gives it."""
    fields = {
        "name": "bench",
        "trial": TRIAL,
        "axes": axes,
        "replicates": replicates,
        "objective": {"metric": "accuracy", "mode": "max"},
    }
    return Sweep.model_validate_json(json.dumps(fields))


def one_by_one(planned: Plan) -> None:
    """Every config from plain fields to its key, as if there were no other."""
    for trial in planned.trials[:: len(planned.trials) // RIVAL_TRIALS]:
        fields = json.loads(json.dumps(TRIAL))
        for field, value in trial.point.items():
            name, _, inner = field.partition(".")
            fields.setdefault(name, {})[inner] = value
        fields["seed"] = trial.replicate
        config = trial_config(fields)
        assert config.key() == trial.key
        config.cost()
        config.stacks_with()


def main() -> None:
    """Print the table."""
    table = Table("10,000 trials", "one by one", "plan", "price", "as JSON", "faster", "wanted")
    with TemporaryDirectory() as storage:
        for name, (axes, replicates, wanted) in SWEEPS.items():
            sweep, ledger = a_sweep(axes, replicates), Ledger(Path(storage))
            planned = plan(sweep)
            assert len(planned.trials) + planned.duplicates == 10_000
            priced = price(planned, ledger, device="cpu", workers=2)  # measures, and remembers
            planning = seconds(lambda sweep=sweep: plan(sweep))
            scale = len(planned.trials[:: len(planned.trials) // RIVAL_TRIALS])
            plain = seconds(lambda planned=planned: one_by_one(planned)) * 10_000 / scale
            ratio = plain / planning
            pricing = seconds(
                lambda planned=planned, ledger=ledger: price(
                    planned, ledger, device="cpu", workers=2
                )
            )
            table.add_row(
                name,
                f"{plain:.2f} s",
                f"{planning:.2f} s",
                f"{pricing:.2f} s",
                f"{seconds(lambda priced=priced: plan_text(priced)):.2f} s",
                f"{ratio:.0f} x",
                f"{wanted:.0f} x" if ratio >= wanted else f"{wanted:.0f} x: missed",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
