"""How fast a shape trains on a kind of device: learned from finished trials, else measured, and kept.

STORAGE/rates/<hash>.json    one file for each kind of device and version of torch
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sweeps.planning.pace.calibration import Calibration, calibrated, tried
from sweeps.planning.pace.way import Ladder, Way, modes, widths
from sweeps.storage import durable
from sweeps.storage.machine import processor
from trainers.config import TrialConfig

_ENOUGH = 24  # trials of one shape: the median of so many is steady
_FORMAT = 3


def cpu_workers() -> int:
    """One worker for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def device_kind(device: str) -> str:
    """What decides how fast trials train here: `2 x Intel(R) Xeon(R) Platinum 8488C`, `NVIDIA H200`."""
    return torch.cuda.get_device_name() if device == "cuda" else f"{cpu_workers()} x {processor()}"


@dataclass
class Known:
    """What is known of one shape."""

    measured: dict[Way, float] = field(default_factory=dict[Way, float])
    prepared: dict[Way, float] = field(default_factory=dict[Way, float])  # seconds before a pack
    failed: dict[Way, str] = field(default_factory=dict[Way, str])  # why a way does not work
    seen: dict[Way, list[float]] = field(default_factory=dict[Way, list[float]])  # newest last

    def ratios(self) -> list[float]:
        """For each way how many times longer a step took in training than was measured of it."""
        return [
            median(times) / self.measured[way]
            for way, times in self.seen.items()
            if self.measured.get(way, math.inf) < math.inf
        ]


@dataclass
class Rates:
    """What is known of one kind of device; shapes are told apart by a hash."""

    file: Path
    device: str
    shapes: dict[str, Known] = field(default_factory=dict[str, Known])
    trials: set[str] = field(default_factory=set[str])  # keys of those that were seen
    changed: bool = False

    def of(self, shape: str) -> Known:
        """What is known of a shape."""
        name = hashlib.sha256(shape.encode()).hexdigest()[:20]
        return self.shapes.setdefault(name, Known())

    def knows(self, shape: str) -> bool:
        """Whether enough trials of a shape were seen."""
        return sum(map(len, self.of(shape).seen.values())) >= _ENOUGH

    def learn(self, shape: str, key: str, way: Way, seconds: float) -> None:
        """Take note of a trial that trained so: its share of a step of its pack took so long."""
        self.trials.add(key)
        nearest = min(widths(self.device), key=lambda one: abs(math.log(one / way.width)))
        self.of(shape).seen.setdefault(way._replace(width=nearest), []).append(seconds)
        self.changed = True

    def slower(self) -> float:
        """How many times longer a step takes in training than was measured of it alone."""
        ratios = [ratio for known in self.shapes.values() for ratio in known.ratios()]
        return median(ratios) if ratios else 1.0

    def ladder(self, shape: str, config: TrialConfig, most: int) -> Ladder:
        """For each way in which up to `most` trials may train; measured where that was never done."""
        ladder = widths(self.device)
        far_enough = next((width for width in ladder if width >= most), ladder[-1])
        ways = [
            Way(width, mode)
            for mode in modes(self.device)
            for width in ladder
            if width <= far_enough
        ]
        if any(way not in self.of(shape).measured for way in ways):
            self._keep(shape, calibrated(config, ways, device=self.device))
        return self.of(shape).measured

    def tried(self, shape: str, config: TrialConfig, way: Way) -> None:
        """Measure a way that takes its time to prepare, and its preparation."""
        found, seconds = tried(config, way, device=self.device)
        self._keep(shape, found)
        if way not in found.failed:
            self.of(shape).prepared[way] = seconds

    def save(self) -> None:
        """Write what is new, if the storage folder is there already."""
        root = self.file.parent.parent
        if self.changed and root.is_dir():
            durable.make_folder(self.file.parent)
            record = {
                "format": _FORMAT,
                "device": device_kind(self.device),
                "torch": torch.__version__,
                "shapes": {
                    name: _written(known) for name, known in self.shapes.items() if known != Known()
                },
                "trials": sorted(self.trials),
            }
            durable.write_over(self.file, json.dumps(record).encode())
            self.changed = False

    def _keep(self, shape: str, found: Calibration) -> None:
        known = self.of(shape)
        known.measured.update(found.seconds)
        known.failed.update(found.failed)
        self.changed = True


def rates_of(storage: Path, device: str) -> Rates:
    """What the storage knows of this device; a file that cannot be read counts as none."""
    kind = f"{device_kind(device)} {torch.__version__} {_FORMAT}"
    file = storage / "rates" / f"{hashlib.sha256(kind.encode()).hexdigest()[:12]}.json"
    try:
        stored: dict[str, Any] = json.loads(file.read_bytes())
        shapes = {name: _read(known) for name, known in stored["shapes"].items()}
        return Rates(file, device, shapes, set(stored["trials"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Rates(file, device)


def _written(known: Known) -> dict[str, Any]:
    """What is known of a shape as JSON; a way that was not worth trying has no number."""
    measured = {
        way.words: seconds if seconds < math.inf else None
        for way, seconds in known.measured.items()
    }
    parts: dict[str, dict[str, Any]] = {"measured": measured}
    for name, values in (
        ("prepared", known.prepared),
        ("failed", known.failed),
        ("seen", known.seen),
    ):
        parts[name] = {way.words: value for way, value in values.items()}
    return parts


def _read(known: Mapping[str, Mapping[str, Any]]) -> Known:
    measured = {
        Way.of(words): math.inf if seconds is None else float(seconds)
        for words, seconds in known["measured"].items()
    }
    return Known(
        measured,
        {Way.of(words): float(seconds) for words, seconds in known["prepared"].items()},
        {Way.of(words): str(reason) for words, reason in known["failed"].items()},
        {Way.of(words): [float(one) for one in times] for words, times in known["seen"].items()},
    )


def between(anchors: Sequence[tuple[int, Ladder]], flops: int) -> Ladder:
    """What a shape takes by the anchors below and above it, linear in FLOPs for each way to train."""
    below = max((a for a in anchors if a[0] <= flops), key=lambda a: a[0], default=anchors[0])
    above = min((a for a in anchors if a[0] >= flops), key=lambda a: a[0], default=anchors[-1])
    share = 0.0 if above[0] == below[0] else (flops - below[0]) / (above[0] - below[0])
    return {
        way: (1 - share) * seconds + share * above[1][way] if share else seconds
        for way, seconds in below[1].items()
        if way in above[1]
    }


def expected(ladder: Ladder, known: Known, slower: float) -> Ladder:
    """What each way to train takes in a sweep: as finished packs took, or as much slower as they were."""
    ratios = [
        median(times) / ladder[way]
        for way, times in known.seen.items()
        if ladder.get(way, math.inf) < math.inf
    ]
    factor = median(ratios) if ratios else slower
    found = {way: factor * seconds for way, seconds in ladder.items()}
    return found | {way: median(times) for way, times in known.seen.items()}
