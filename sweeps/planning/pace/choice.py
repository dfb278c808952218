"""Which way the trials of a shape train: how many at once, how their steps are run, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sweeps.planning.pace.way import ALONE, Ladder, Way
from sweeps.wording import duration
from trainers.engine.execution import Execution, Mode

WORTH = 0.95
"""What is larger must save 5 % of the time, or it is not worth losing more at once."""

LIKELY_PREPARATION_S = 30.0
"""Of compiled steps, until it is measured: 12 to 30 s for a shape and a width."""

_LIKELY_GAIN = 1.2  # of compiled steps over eager ones, until they are measured: 1.1 to 1.4
_CLEARLY = 2.0  # times its preparation is what a way must save to be worth preparing


@dataclass(frozen=True)
class Case:
    """What is left to train of a shape, what is known of it, and what is asked for."""

    known: Ladder
    count: int  # trials that are left
    steps: float  # of all of them together, their tests included
    longest: float  # steps of the longest
    workers: int = 1
    mode: Mode | None = None  # that is asked for; None: the fastest
    width: int | None = None
    said: str = "as asked"  # why this mode and width
    off_ladder: bool = True  # a pack may have any width, so that few trials train together, too
    fits: int = 10**9  # trials whose memory fits into a device
    others_s: float = math.inf  # that other shapes take on one worker
    may_compile: bool = False
    prepared: Mapping[Way, float] = field(default_factory=dict[Way, float])  # seconds, where known
    failed: Mapping[Way, str] = field(default_factory=dict[Way, str])

    def saved_s(self, of_step: float, way: Way) -> float:
        """What is saved on each of the workers that train the shape, if so much is of every step."""
        busy = min(self.workers, math.ceil(self.count / way.width))
        return of_step * self.steps / busy

    def finish_s(self, way: Way, seconds: float) -> float:
        """Until the sweep is done, if a step of each of these trials takes so long in such packs."""
        own_s, pack_s = self.steps * seconds, self.longest * way.width * seconds
        rounds = math.ceil(math.ceil(self.count / way.width) / self.workers)
        shared_s = (own_s + self.others_s) / self.workers
        idle_s = self.workers * rounds * pack_s - own_s
        return max(shared_s, pack_s if self.others_s >= idle_s else rounds * pack_s)

    def preparation_s(self, way: Way) -> float:
        """Seconds before the first step of each pack."""
        return self.prepared.get(way, LIKELY_PREPARATION_S) if way.mode == "compiled" else 0.0


@dataclass(frozen=True)
class Choice:
    """How the trials of a shape train."""

    way: Way
    execution: Execution
    seconds: float  # of a step of one trial in its pack
    alone: float  # of a step of one trial alone, eager
    preparation_s: float  # of each pack
    why: str
    saves_s: float = 0.0  # what compiled steps save on each worker, or might where they are untried
    untried: Way | None = None

    @property
    def gain(self) -> float:
        """How many times faster than alone."""
        return self.alone / self.seconds

    @property
    def line(self) -> str:
        """How many at once, how, and why: `8 at once, compiled: saves ...`."""
        at_once = f"{self.way.width} at once" if self.way.width > 1 else "alone"
        how = "" if self.execution.words == "eager" else f", {self.execution.words}"
        again = ", activations made again" if self.execution.recompute else ""
        return f"{at_once}{how}{again}: {self.why}"


def choose(case: Case) -> Choice:
    """The way that takes least, its preparation included; a smaller pack unless a larger gains 5 %."""
    ways = _ways(case)
    best, limit = _fastest(case, {w: s for w, s in ways.items() if w.mode != "compiled"})
    if case.mode == "compiled":
        way = _compiled(best)
        return _chosen(case, way, ways.get(way, ways[best] / _LIKELY_GAIN), limit)
    compiled = {way: seconds for way, seconds in ways.items() if way.mode == "compiled"}
    way = min(compiled, key=compiled.__getitem__, default=best)
    saved_s = case.saved_s(ways[best] - ways[way], way)
    if saved_s > _CLEARLY * case.preparation_s(way):
        return replace(_chosen(case, way, ways[way], limit, saved_s), saves_s=saved_s)
    found = _chosen(case, best, ways[best], limit)
    way = _compiled(best)
    if not case.may_compile or case.mode is not None or way in case.known:
        return found
    saved_s = case.saved_s(ways[best] * (1 - 1 / _LIKELY_GAIN), way)
    return replace(found, untried=way, saves_s=saved_s)


def _compiled(way: Way) -> Way:
    """As many trials at once, or the next fewer of which there are programs: a power of two."""
    return Way(1 << (way.width.bit_length() - 1), "compiled")


def _ways(case: Case) -> dict[Way, float]:
    """The ways in which so many trials can train, and what a step of one then takes."""
    measured: dict[Mode, dict[int, float]] = {}
    for way, seconds in case.known.items():
        if seconds < math.inf and case.mode in (None, way.mode, "compiled"):
            measured.setdefault(way.mode, {})[way.width] = seconds
    found: dict[Way, float] = {}
    for mode, ladder in measured.items():
        if case.width is not None:
            wanted = {min(case.width, case.count)}
        else:
            wanted = {width for width in ladder if width <= case.count}
            if case.off_ladder and mode == "eager":
                fair = math.ceil(case.count / case.workers)
                wanted |= {each for each in (fair, case.count) if each < max(ladder)}
        found |= {Way(width, mode): _at(ladder, width) for width in wanted}
    return found


def _at(ladder: Mapping[int, float], width: int) -> float:
    """Seconds of a step of one trial at a width; those of a whole pack are linear between two widths."""
    below = max((each for each in ladder if each <= width), default=min(ladder))
    above = min((each for each in ladder if each >= width), default=max(ladder))
    if below >= above:
        return ladder[below]
    share = (width - below) / (above - below)
    return ((1 - share) * below * ladder[below] + share * above * ladder[above]) / width


def _fastest(case: Case, ways: Ladder) -> tuple[Way, str]:
    """The fastest of these ways, and what keeps a pack from being larger."""
    best, *others = sorted(ways)
    limit = ""
    for way in others:
        if ways[way] >= WORTH * ways[best]:
            continue
        if way.width > case.fits:
            limit = "more do not fit into memory"
        elif case.finish_s(way, ways[way]) > case.finish_s(best, ways[best]):
            limit = "more would leave workers idle"
        else:
            best = way
    return best, limit


def _chosen(case: Case, way: Way, seconds: float, limit: str, saved_s: float = 0.0) -> Choice:
    preparation_s = case.preparation_s(way)
    found = Choice(way, way.execution, seconds, case.known[ALONE], preparation_s, "")
    reasons = [_reason(case, found), limit]
    if case.mode is not None or case.width is not None:
        reasons.insert(0, case.said)
    elif way.mode == "compiled":
        after = duration(preparation_s)
        reasons.insert(0, f"saves {duration(saved_s)} a worker after {after} of preparation")
    return replace(found, why=", ".join(filter(None, reasons)))


def _reason(case: Case, found: Choice) -> str:
    if found.way != ALONE:
        return f"{found.gain:.1f} x as fast as alone"
    if case.count == 1:
        return "the only one of its shape"
    if case.width is not None:
        return ""
    larger = [seconds for way, seconds in case.known.items() if way.width > 1]
    if all(seconds == math.inf for seconds in larger):
        return "its steps fill the device"
    return f"more at once gain less than {1 - WORTH:.0%}"
