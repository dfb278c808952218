"""How fast a shape trains on a kind of device: learned from finished trials, else measured, and kept.

STORAGE/rates/<hash>.json    one file for each kind of device and version of torch
"""

import hashlib
import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sweeps.storage import durable
from sweeps.storage.machine import processor
from trainers.config import TrialConfig
from trainers.machine import prepare
from trainers.measure import seconds_per_step

LADDER = (1, 4, 16)
"""Sizes of a pack that are tried, smallest first."""

WORTH = 0.95
"""A larger pack must save 5 % of the time, or it is not worth losing more at once."""

_LONG_STEP_S = 0.04  # a pack whose steps would take longer has no overhead left to save
_ENOUGH = 9  # packs of one shape: the median of so many is steady
_FORMAT = 2


def cpu_workers() -> int:
    """One worker for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def device_kind(device: str) -> str:
    """What decides how fast trials train here: `2 x Intel(R) Xeon(R) Platinum 8488C`, `NVIDIA H200`."""
    return torch.cuda.get_device_name() if device == "cuda" else f"{cpu_workers()} x {processor()}"


@dataclass(frozen=True)
class Rate:
    """How fast trials of one shape train here: seconds of a step of one trial, in packs of `pack`."""

    seconds: float
    pack: int
    learned: bool = False


Ladder = Mapping[int, float]
"""Seconds of a step of one trial, by the size of its pack."""


def _name(shape: str) -> str:
    return hashlib.sha256(shape.encode()).hexdigest()[:20]


@dataclass
class Rates:
    """What is known of one kind of device; shapes are told apart by a hash."""

    file: Path
    device: str
    measured: dict[str, dict[int, float]]
    seen: dict[str, dict[int, list[float]]]  # of finished packs, newest last
    trials: set[str] = field(default_factory=set[str])  # keys of those that were seen
    changed: bool = False

    def knows(self, shape: str) -> bool:
        """Whether enough packs of a shape were seen."""
        return sum(map(len, self.seen.get(_name(shape), {}).values())) >= _ENOUGH

    def learn(self, shape: str, pack: Collection[str], seconds: float) -> None:
        """Take note of a pack of trials, by their keys, in which a step of one trial took so long."""
        self.trials.update(pack)
        size = min(LADDER, key=lambda one: abs(math.log(one / len(pack))))
        self.seen.setdefault(_name(shape), {}).setdefault(size, []).append(seconds)
        self.changed = True

    def learned(self, shape: str) -> Ladder:
        """What finished packs took; empty for a shape of which none has."""
        found = self.seen.get(_name(shape), {})
        return {size: median(found[size]) for size in LADDER if size in found}

    def slower(self) -> float:
        """How many times longer a step takes in training than was measured of it alone."""
        ratios = [
            median(times) / self.measured[name][size]
            for name, sizes in self.seen.items()
            for size, times in sizes.items()
            if size in self.measured.get(name, {})
        ]
        return median(ratios) if ratios else 1.0

    def ladder(self, shape: str, config: TrialConfig, count: int) -> Ladder:
        """For each size of a pack that may pay for `count` trials; measured where that was never done."""
        ladder = self.measured.setdefault(_name(shape), {})
        best = math.inf
        for size in LADDER:
            if size > 1 and (size > count or size * best > _LONG_STEP_S):
                break
            if size not in ladder:
                prepare()
                pack = [config.model_copy(update={"seed": seed}) for seed in range(size)]
                ladder[size] = seconds_per_step(pack, device=self.device) / size
                self.changed = True
            if ladder[size] > best * WORTH:
                break
            best = ladder[size]
        return ladder

    def save(self) -> None:
        """Write what is new, if the storage folder is there already."""
        root = self.file.parent.parent
        if self.changed and root.is_dir():
            durable.make_folder(self.file.parent)
            record = {
                "format": _FORMAT,
                "device": device_kind(self.device),
                "torch": torch.__version__,
                "measured": self.measured,
                "seen": self.seen,
                "trials": sorted(self.trials),
            }
            durable.write_over(self.file, json.dumps(record).encode())
            self.changed = False


def rates_of(storage: Path, device: str) -> Rates:
    """What the storage knows of this device; a file that cannot be read counts as none."""
    kind = f"{device_kind(device)} {torch.__version__} {_FORMAT}"
    file = storage / "rates" / f"{hashlib.sha256(kind.encode()).hexdigest()[:12]}.json"
    try:
        stored: dict[str, Any] = json.loads(file.read_bytes())
        measured = {
            shape: {int(size): float(seconds) for size, seconds in ladder.items()}
            for shape, ladder in stored["measured"].items()
        }
        seen = {
            shape: {int(size): [float(one) for one in times] for size, times in sizes.items()}
            for shape, sizes in stored["seen"].items()
        }
        return Rates(file, device, measured, seen, set(stored["trials"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Rates(file, device, {}, {})


def between(anchors: Sequence[tuple[int, Ladder]], flops: int) -> Ladder:
    """What a shape takes by the anchors below and above it, linear in FLOPs for each size of a pack."""
    below = max((a for a in anchors if a[0] <= flops), key=lambda a: a[0], default=anchors[0])
    above = min((a for a in anchors if a[0] >= flops), key=lambda a: a[0], default=anchors[-1])
    share = 0.0 if above[0] == below[0] else (flops - below[0]) / (above[0] - below[0])
    sizes = [size for size in LADDER if size in below[1] and size in above[1]]
    return {size: (1 - share) * below[1][size] + share * above[1][size] for size in sizes}


def best_rate(expected: Ladder, learned: Ladder, slower: float, count: int) -> Rate:
    """The size of a pack that takes least for `count` trials, and its rate.

    What finished packs took beats what is expected; it also says how much slower than expected the
    sizes are of which none has finished, for which else `slower` is taken.
    """
    ratios = [learned[size] / expected[size] for size in learned if size in expected]
    factor = median(ratios) if ratios else slower
    known = {size: factor * seconds for size, seconds in expected.items()} | dict(learned)
    best = Rate(math.inf, 1, learned=bool(learned))
    for size in sorted(known):
        worth = WORTH if size > 1 and best.seconds < math.inf else 1.0
        if (size == 1 or size <= count) and known[size] < best.seconds * worth:
            best = Rate(known[size], size, learned=bool(learned))
    return best
