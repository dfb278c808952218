"""Two ways to do the same work, side by side in one process: the median ratio of neighbouring turns."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_SHORT_S = 0.02  # a turn is long enough for the clock


@dataclass(frozen=True)
class Line:
    """One comparison: units of work a second of both sides, and the median ratio of their turns."""

    name: str
    unit: str
    ours: float
    plain: float
    ratio: float
    goal: float | None = None  # the least ratio that is asked for

    @property
    def verdict(self) -> str:
        """Whether the goal was reached."""
        if self.goal is None:
            return ""
        return f"{'reached' if self.ratio >= self.goal else 'MISSED'} (>= {self.goal:g})"


def compare(
    name: str,
    unit: str,
    work: int,
    ours: Callable[[], object],
    plain: Callable[[], object],
    *,
    goal: float | None = None,
    lasting_s: float = 3.0,
) -> Line:
    """Take turns for about `lasting_s`; `work` units are done by each call of either side.

    Either side goes first in every other pair, so that what one leaves in the caches favours none.
    """
    seconds(ours, 1)  # caches and kernels
    seconds(plain, 1)
    calls = max(1, round(_SHORT_S / max(seconds(ours, 1), 1e-6)))
    pairs: list[tuple[float, float]] = []
    until = time.perf_counter() + lasting_s
    while time.perf_counter() < until or len(pairs) < 6:
        if len(pairs) % 2:
            theirs = seconds(plain, calls)
            pairs.append((seconds(ours, calls), theirs))
        else:
            pairs.append((seconds(ours, calls), seconds(plain, calls)))
    mine, theirs = (statistics.median(column) / calls for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    return Line(name, unit, work / mine, work / theirs, ratio, goal)


def seconds(work: Callable[[], object], calls: int = 1) -> float:
    """Processor time of some calls, so that a busy machine does not count."""
    started = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - started


def heading() -> str:
    """What stands above the lines of a table."""
    return f"{'':60}{'ours':>12}{'plain':>12}{'ratio':>9}"


def shown(line: Line) -> str:
    """One line of the table."""
    found = f"{line.name:60}{line.ours:12,.0f}{line.plain:12,.0f}{line.ratio:8.2f}x"
    return f"{found}  {line.unit:24}{line.verdict}".rstrip()


def least(lines: Iterable[Line]) -> Line:
    """The line with the smallest ratio."""
    return min(lines, key=lambda line: line.ratio)
