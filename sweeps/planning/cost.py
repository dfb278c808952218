"""What a sweep costs before it starts: seconds of every trial, packs, and when all of it will be done."""

import hashlib
import heapq
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.storage import durable
from sweeps.storage.ledger import Ledger
from trainers.config import TrialConfig
from trainers.data.task import ClassedTask, JudgedTask
from trainers.machine import prepare
from trainers.measure import seconds_per_step

LADDER = (1, 4, 16)
"""Sizes of a pack that are tried, smallest first."""

_WORTH = 0.95  # a larger pack must save 5 % of the time, or it is not worth losing more at once
_LONG_STEP_S = 0.04  # a pack whose steps would take longer has no overhead left to save
_FORWARD_SHARE = 1 / 3  # of the FLOPs of training on an example

State = Literal["new", "resumable", "finished", "diverged", "stopped", "failed"]

OPEN: frozenset[State] = frozenset({"new", "resumable", "failed", "stopped"})
"""What is left to train; a failed trial is tried again, and one that a search has stopped goes on."""


@dataclass(frozen=True)
class Rate:
    """How fast trials of one shape train here: seconds of a step of one trial, in packs of `pack`."""

    seconds: float
    pack: int


@dataclass(frozen=True)
class PricedTrial:
    """A planned trial, where it stands, and what is left of it to do."""

    trial: PlannedTrial
    state: State
    steps_done: int
    seconds: float  # of what is left, on one worker

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to train."""
        return self.state in OPEN


@dataclass(frozen=True)
class Pack:
    """Trials that train together."""

    trials: tuple[PricedTrial, ...]

    @property
    def seconds(self) -> float:
        """Of the whole pack, on one worker."""
        return sum(trial.seconds for trial in self.trials)


@dataclass(frozen=True)
class Price:
    """A plan with what it costs on this machine."""

    plan: Plan
    trials: tuple[PricedTrial, ...]
    packs: tuple[Pack, ...]  # longest first
    workers: int

    @property
    def seconds(self) -> float:
        """Until the last pack is done, with every worker busy."""
        free = [0.0] * self.workers
        for pack in self.packs:
            heapq.heapreplace(free, free[0] + pack.seconds)
        return max(free)

    @property
    def open(self) -> tuple[PricedTrial, ...]:
        """The trials that are left to train."""
        return tuple(trial for trial in self.trials if trial.is_open)


def price(plan: Plan, ledger: Ledger, *, device: str, workers: int) -> Price:
    """Say what is finished, group the rest into packs, and estimate the seconds of each trial."""
    standing = [(trial, *_standing(ledger, trial)) for trial in plan.trials]
    left = [trial for trial, state, _ in standing if state in OPEN]
    rates = _rates(ledger.root, [trial.config for trial in left], device)
    trials = tuple(
        PricedTrial(trial, state, done, _seconds(trial, state, done, rates))
        for trial, state, done in standing
    )
    return Price(plan, trials, _packs(trials, rates, workers), workers)


def cpu_workers() -> int:
    """One worker for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def _standing(ledger: Ledger, trial: PlannedTrial) -> tuple[State, int]:
    folder = ledger.trial(trial.key)
    outcome = folder.outcome()
    if outcome is not None and outcome.name != "failed":
        return outcome.name, outcome.step
    markers = [
        marker.stem for path in folder.attempts() for marker in path.glob("checkpoint-*.json")
    ]
    done = max((int(marker.removeprefix("checkpoint-")) for marker in markers), default=0)
    if outcome is not None:
        return "failed", done
    return ("resumable" if done else "new"), done


def _seconds(trial: PlannedTrial, state: State, done: int, rates: Mapping[str, Rate]) -> float:
    if state not in OPEN:
        return 0.0
    config = trial.config
    rate = rates[config.stacks_with()].seconds
    share_left = (config.steps - done) / config.steps
    tested = _tested_examples(config) * _FORWARD_SHARE / config.batch_size
    return rate * (config.steps + tested) * share_left


def _tested_examples(config: TrialConfig) -> int:
    """Examples of all reports and of the outcome; one whose answer is generated counts twice."""
    evaluation = config.evaluation
    sets = (config.task, *config.test_tasks().values())
    passes = len(sets) + evaluation.by_place
    last = evaluation.last_examples or evaluation.examples
    judged = sum(isinstance(task, JudgedTask) for task in sets) * evaluation.judged_examples
    each_report = evaluation.training_examples + 2 * judged
    tested = passes * ((evaluation.points - 1) * evaluation.examples + last)
    tested += evaluation.points * each_report
    tested += len(evaluation.prune) * (last + evaluation.training_examples)
    if isinstance(config.task, ClassedTask):
        tested += 2 * len(config.task.classes()) * evaluation.class_examples
    return tested


def _packs(
    trials: Iterable[PricedTrial], rates: Mapping[str, Rate], workers: int
) -> tuple[Pack, ...]:
    groups: defaultdict[str, list[PricedTrial]] = defaultdict(list)
    for trial in trials:
        if trial.is_open:
            groups[trial.trial.config.stacks_with()].append(trial)
    left = sum(len(group) for group in groups.values())
    fair = max(1, left // (2 * workers))  # a pack so large that workers would idle helps nobody
    packs: list[Pack] = []
    for shape, group in groups.items():
        size = min(rates[shape].pack, fair)
        # alike in length, so that few rows of a pack are left alone
        ordered = sorted(group, key=lambda trial: -trial.seconds)
        packs += [
            Pack(tuple(ordered[first : first + size])) for first in range(0, len(ordered), size)
        ]
    return tuple(sorted(packs, key=lambda pack: -pack.seconds))


def _rates(storage: Path, configs: Sequence[TrialConfig], device: str) -> dict[str, Rate]:
    """The rate of every shape: measured for a few, remembered in storage, between them interpolated."""
    shapes: dict[str, TrialConfig] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    for config in configs:
        shape = config.stacks_with()
        shapes.setdefault(shape, config)
        counts[shape] += 1
    families: defaultdict[str, list[str]] = defaultdict(list)
    for shape, config in shapes.items():
        families[config.model.kind].append(shape)
    known = _Remembered.at(storage, device)
    rates: dict[str, Rate] = {}
    for family in families.values():
        family.sort(key=lambda shape: _step_flops(shapes[shape]))
        anchors: list[tuple[int, Mapping[int, float]]] = []
        for number in sorted({0, len(family) // 2, len(family) - 1}):
            shape = family[number]
            seconds = known.ladder(shape, shapes[shape], counts[shape])
            anchors.append((_step_flops(shapes[shape]), seconds))
        for shape in family:
            rates[shape] = _between(anchors, _step_flops(shapes[shape]), counts[shape])
    known.save()
    return rates


def _step_flops(config: TrialConfig) -> int:
    return config.cost().flops * config.batch_size


def _between(anchors: Sequence[tuple[int, Mapping[int, float]]], flops: int, count: int) -> Rate:
    """The rate of a shape from the anchors below and above it, linear in FLOPs for each pack size."""
    below = max((a for a in anchors if a[0] <= flops), key=lambda a: a[0], default=anchors[0])
    above = min((a for a in anchors if a[0] >= flops), key=lambda a: a[0], default=anchors[-1])
    share = 0.0 if above[0] == below[0] else (flops - below[0]) / (above[0] - below[0])
    best = Rate(float("inf"), 1)
    for size in LADDER:
        if size in below[1] and size in above[1] and (size == 1 or size <= count):
            seconds = (1 - share) * below[1][size] + share * above[1][size]
            if seconds < best.seconds * (_WORTH if size > 1 else 1):
                best = Rate(seconds, size)
    return best


@dataclass
class _Remembered:
    """Measured seconds by shape and pack size, kept in storage once that exists."""

    file: Path
    device: str
    measured: dict[str, dict[int, float]]
    changed: bool = False

    @classmethod
    def at(cls, storage: Path, device: str) -> "_Remembered":
        kind = torch.cuda.get_device_name() if device == "cuda" else f"{cpu_workers()} cpu"
        name = hashlib.sha256(f"{kind} {torch.__version__}".encode()).hexdigest()[:12]
        file = storage / "rates" / f"{name}.json"
        stored = json.loads(file.read_bytes()) if file.exists() else {}
        measured = {
            shape: {int(size): seconds for size, seconds in ladder.items()}
            for shape, ladder in stored.items()
        }
        return cls(file, device, measured)

    def ladder(self, shape: str, config: TrialConfig, count: int) -> dict[int, float]:
        """Seconds of a step of one trial for each size of the ladder that may pay for `count` trials."""
        name = hashlib.sha256(shape.encode()).hexdigest()[:20]
        ladder = self.measured.setdefault(name, {})
        best = float("inf")
        for size in LADDER:
            if size > 1 and (size > count or size * best > _LONG_STEP_S):
                break
            if size not in ladder:
                prepare()
                seeds = range(size)
                pack = [config.model_copy(update={"seed": seed}) for seed in seeds]
                ladder[size] = seconds_per_step(pack, device=self.device) / size
                self.changed = True
            if ladder[size] > best * _WORTH:
                break
            best = ladder[size]
        return ladder

    def save(self) -> None:
        """Write what was measured, if the storage folder is there already."""
        root = self.file.parent.parent
        if self.changed and root.is_dir():
            durable.make_folder(self.file.parent)
            durable.write_over(self.file, json.dumps(self.measured).encode())
