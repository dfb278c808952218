"""Measures on this machine how long steps take, in one way of training and the other, by turns."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweeps.planning.pace.stopwatch import Stopwatch
from sweeps.planning.pace.way import ALONE, Way
from trainers.config import TrialConfig
from trainers.machine import prepare
from trainers.measure import preparation_s

_LONG_STEP_S = 0.08  # a pack whose steps would take longer has no overhead left to save
_LOSES = 1.1  # times as long as in a smaller pack: still larger ones are not looked at
_TURNS = 3  # after the first, by which only the fastest are left
_TURNS_S = 0.25  # in which turns begin: where steps are that long, the clock is the lesser doubt
_CLOSE = 1.25  # what is so much slower than the fastest in the first turn gets no others


@dataclass
class Calibration:
    """Seconds of a step of one trial, by the way in which it trains; infinite where it was left out."""

    seconds: dict[Way, float] = field(default_factory=dict[Way, float])
    failed: dict[Way, str] = field(default_factory=dict[Way, str])  # why a way does not work here


def calibrated(config: TrialConfig, ways: Iterable[Way], *, device: str) -> Calibration:
    """Measure trials like this one in each of these ways, among them alone; a second or less.

    Eager steps are timed as they begin, before any is traced: that takes seconds, and changes no choice.
    Larger packs are left out once one clearly loses, or has steps so long that nothing is left to gain.
    """
    prepare()
    ladders: dict[str, list[Way]] = {}
    for way in sorted(ways):
        ladders.setdefault(way.mode, []).append(way)
    found = Calibration({way: math.inf for ladder in ladders.values() for way in ladder})
    watches: dict[Way, Stopwatch] = {}
    for ladder in ladders.values():
        best = math.inf
        for way in ladder:
            if best < math.inf and way.width * best > _LONG_STEP_S:
                break
            watch = _watch(found, config, way, device)
            if watch is None:
                break
            watches[way] = watch
            watch.turn()
            seconds = watch.fastest_s / way.width
            if seconds > _LOSES * best:
                break
            best = min(best, seconds)
    _by_turns(found, watches)
    return found


def tried(config: TrialConfig, way: Way, *, device: str) -> tuple[Calibration, float]:
    """Measure a way that has to be prepared by turns with the eager one, and its preparation in seconds.

    Where steps are compiled it takes half a minute.
    """
    prepare()
    found = Calibration({way: math.inf})
    watch = _watch(found, config, way, device)
    if watch is None:
        return found, 0.0
    plain = Way(way.width)
    eager = _watch(found, config, plain, device, traces=True)
    _by_turns(found, {way: watch} if eager is None else {way: watch, plain: eager})
    configs = [each.config for each in watch.pack.rows]
    return found, preparation_s(configs, device=device, execution=way.execution)


def _by_turns(found: Calibration, watches: Mapping[Way, Stopwatch]) -> None:
    """Time what may be the fastest again and again, and one trial alone beside it."""
    for each in watches.values():
        if each.fastest_s == math.inf:
            each.turn()
    fastest = min(watch.fastest_s / way.width for way, watch in watches.items())
    close = [w for w, watch in watches.items() if watch.fastest_s / w.width <= _CLOSE * fastest]
    if len(watches) > 1:
        spent_s = 0.0
        for _ in range(_TURNS):
            if spent_s > _TURNS_S:
                break
            spent_s += sum(watches[way].turn() for way in watches if way == ALONE or way in close)
    found.seconds |= {way: watch.fastest_s / way.width for way, watch in watches.items()}


def _watch(
    found: Calibration, config: TrialConfig, way: Way, device: str, *, traces: bool = False
) -> Stopwatch | None:
    """A stopwatch for so many trials; None, and why, where this way does not work here."""
    trials = [config.model_copy(update={"seed": seed}) for seed in range(way.width)]
    try:
        return Stopwatch.of(trials, device=device, execution=way.execution, traces=traces)
    except (RuntimeError, ValueError) as error:  # no memory, no compiler, no graph of such a step
        if way == ALONE:
            raise
        found.failed[way] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        return None
