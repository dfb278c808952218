"""A run of the GPU's benchmark: the parts in their time, then one table and one document."""

import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from tests.benchmarks import gpu_goals, gpu_watch, results_file
from tests.benchmarks.gpu_program import QUICK, WHOLE, Program, Sizes
from tests.benchmarks.gpu_watch import Watch
from trainers import machine
from trainers.engine.execution import Mode

_RESULTS = Path(__file__).parent / "results"
_THREADS = 8  # at the most, for what a CPU makes: the weights that trials start from


def run(device: str, *, quick: bool, document: Path | None, whole_s: float) -> int:
    """Measure, print, write; the exit code is 2 without the device, 1 if a part has failed."""
    if device == "cuda" and not torch.cuda.is_available():
        print("expected a CUDA device, torch sees none: --device cpu --quick", file=sys.stderr)
        return 2
    # before CUDA starts: deterministic products ask for it
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    machine.prepare(threads=min(_THREADS, os.cpu_count() or 1) if device == "cuda" else 1)
    watch = Watch(torch.device(device), time.monotonic() + whole_s)
    sizes = QUICK if quick else WHOLE
    if document is None and not quick:
        document = _RESULTS / _file_name(watch.device)
    timer = gpu_watch.at_the_end(watch, lambda: _finish(watch, sizes, document))
    Program(watch, sizes, _modes(device, quick=quick)).run()
    timer.cancel()
    _finish(watch, sizes, document)
    return int(any(found.note.startswith("failed") for found in watch.found))


def _modes(device: str, *, quick: bool) -> tuple[Mode, ...]:
    if device == "cuda":
        return ("eager", "graphed") if quick else ("eager", "graphed", "compiled")
    return ("eager",) if quick else ("eager", "compiled")


def _finish(watch: Watch, sizes: Sizes, document: Path | None) -> None:
    """The document, then the table."""
    goals = list(gpu_goals.goals(watch, sizes))
    if document is not None:
        measured = {
            "figures": [asdict(found) for found in watch.found],
            "goals": [asdict(goal) | {"verdict": goal.verdict} for goal in goals],
        }
        results_file.write(document, watch.device, measured)
        print(f"\nwritten: {document}")
    about = results_file.about(watch.device)
    print(f"\n{about['device']}, torch {about['torch']}, {about['date']}")
    for part in dict.fromkeys(found.part for found in watch.found):
        print()
        for found in watch.found:
            if found.part == part:
                print(gpu_watch.shown(found))
    print("\nasked for")
    for goal in goals:
        print(gpu_goals.shown(goal))
    sys.stdout.flush()


def _file_name(device: torch.device) -> str:
    about = results_file.about(device)
    name = re.sub(r"[^a-z0-9]+", "-", about["device"].lower()).strip("-")
    return f"{name}-{about['date'][:10]}.json"
