"""What a benchmark of many parts finds: each within its own time, and one that fails stops no other."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import torch

_LAST_S = 15.0  # kept for the table and the document


@dataclass(frozen=True)
class Found:
    """One figure; without a value, the note says why."""

    part: str
    what: str
    value: float | None
    unit: str
    note: str = ""


@dataclass
class Watch:
    """The figures so far, and how much time is left for more."""

    device: torch.device
    until: float  # by time.monotonic()
    found: list[Found] = field(default_factory=list[Found])

    @property
    def left_s(self) -> float:
        """Seconds until no part may begin or go on."""
        return self.until - _LAST_S - time.monotonic()

    def part(self, name: str, work: Callable[[], None]) -> None:
        """Many figures; if their preparation fails, the next part goes on all the same."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as below
            self.say(name, "the rest of this part", "", f"failed: {_told(error)}")

    def measure(
        self, part: str, what: str, unit: str, limit_s: float, work: Callable[[], float]
    ) -> float | None:
        """One figure, which is None where there is no time for it or the work fails."""
        if self.left_s < limit_s:
            self.say(part, what, unit, f"skipped: {limit_s:.0f} s are not left")
            return None
        try:
            with limited(limit_s):
                value = work()
        except Exception as error:  # noqa: BLE001 - what fails is told, and stops nothing else
            self.say(part, what, unit, f"failed: {_told(error)}")
            return None
        finally:
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self._add(Found(part, what, value, unit))
        return value

    def say(self, part: str, what: str, unit: str, note: str) -> None:
        """A figure that there is not, and why."""
        self._add(Found(part, what, None, unit, note))

    def knows(self, part: str, what: str) -> bool:
        """Whether this figure was found before, or why there is none."""
        return any((each.part, each.what) == (part, what) for each in self.found)

    def value(self, part: str, what: str) -> float | None:
        """A figure found before."""
        for each in self.found:
            if (each.part, each.what) == (part, what):
                return each.value
        return None

    def least(self, part: str, wanted: Callable[[str], bool]) -> float | None:
        """The smallest figure of a part whose name is wanted."""
        found = [each for each in self.found if each.part == part and wanted(each.what)]
        return min((each.value for each in found if each.value is not None), default=None)

    def best(self, part: str, wanted: Callable[[str], bool]) -> float | None:
        """The largest figure of a part whose name is wanted."""
        found = [each for each in self.found if each.part == part and wanted(each.what)]
        return max((each.value for each in found if each.value is not None), default=None)

    def _add(self, found: Found) -> None:
        self.found.append(found)
        print(shown(found), flush=True)


def _told(error: Exception) -> str:
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first[:160]}"


def shown(found: Found) -> str:
    """One line of the table."""
    value = found.note if found.value is None else f"{found.value:14,.1f} {found.unit}"
    return f"{found.part:48} {found.what:28} {value}"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """An error inside once so much time has passed; it comes between two steps of Python.

    Raises:
        TimeoutError: it took longer.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def at_the_end(watch: Watch, finish: Callable[[], None]) -> threading.Timer:
    """Finish with what there is when the time is over, even if a kernel never returns."""

    def over() -> None:
        watch.say("", "the time is over", "", "what follows is what was found until then")
        finish()
        os._exit(1)

    timer = threading.Timer(max(0.0, watch.until - time.monotonic()), over)
    timer.daemon = True
    timer.start()
    return timer


def rate(step: Callable[[], object], device: torch.device, at_least_s: float) -> float:
    """Calls a second once all is warm: of a group that takes so long, which is waited for."""
    for _ in range(4):  # kernels are chosen, steps are captured
        step()
    calls, taken_s = 1, 0.0
    while taken_s < at_least_s:
        if taken_s > 0:
            calls = max(calls + 1, min(8 * calls, int(1.3 * calls * at_least_s / taken_s)))
        taken_s = _seconds(step, calls, device)
    return calls / taken_s


def _seconds(step: Callable[[], object], calls: int, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    for _ in range(calls):
        step()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
