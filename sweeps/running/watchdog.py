"""A watchdog that ends a process whose training shows no life, with its traceback in a file.

It also bites when C code holds the interpreter's lock: `faulthandler` keeps the time in a thread of C.
"""

import faulthandler
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

HANG_FILE = "hang.txt"  # in every attempt of the pack that hung; empty unless it did

_LEAST_S = 60.0
_PATIENCE = 10.0  # times the longest time that it took so far
_DUMP = re.compile(r"Timeout \((\d+):(\d\d):(\d\d)")


def least_s() -> float:
    """Seconds without a sign of life that are always allowed; `LAWSWEEP_HANG_S` changes them."""
    return float(os.environ.get("LAWSWEEP_HANG_S", _LEAST_S))


@dataclass
class Watchdog:
    """Armed while training runs; at rest while somebody else has the process.

    Before the first report, and while the final tests run, nothing is known of the pace: then ten
    times the least is allowed. Afterwards ten times the longest silence so far, or the least.
    """

    least_s: float = field(default_factory=least_s)
    longest_s: float = 0.0  # silence so far
    _file: TextIO | None = None
    _paths: list[Path] = field(default_factory=list[Path])
    _weight: float = 1.0
    _pace_known: bool = False
    _armed_at: float = 0.0

    @property
    def limit_s(self) -> float:
        """Seconds of silence that are allowed now."""
        limit_s = max(self.least_s, _PATIENCE * self.longest_s * self._weight)
        return limit_s if self._pace_known else max(limit_s, _PATIENCE * self.least_s)

    def guard(self, attempts: list[Path], weight: float) -> None:
        """Watch over these attempts; their largest test is `weight` times an ordinary one."""
        self._paths = [attempt / HANG_FILE for attempt in attempts]
        self._file = self._paths[0].open("w")
        for path in self._paths[1:]:
            os.link(self._paths[0], path)
        self.longest_s, self._weight, self._pace_known = 0.0, weight, False
        self.alive()

    def join(self, attempt: Path, weight: float) -> None:
        """Watch over one more attempt, which trains with the others from now on."""
        path = attempt / HANG_FILE
        self._weight = max(self._weight, weight)
        if self._paths:
            os.link(self._paths[0], path)
        else:  # the others have left, and the file with them
            old, self._file = self._file, path.open("w")
            self.alive()
            if old is not None:
                old.close()
        self._paths.append(path)

    def leave(self, attempt: Path) -> None:
        """This attempt is over, while others go on."""
        path = attempt / HANG_FILE
        if path in self._paths:
            self._paths.remove(path)
            path.unlink(missing_ok=True)

    def alive(self) -> None:
        """A sign of life: the time starts anew."""
        self._measure()
        if self._file is None:
            return
        self._armed_at = time.monotonic()
        faulthandler.dump_traceback_later(self.limit_s, exit=True, file=self._file)

    def rest(self) -> None:
        """Somebody else has the process now."""
        self._measure()
        faulthandler.cancel_dump_traceback_later()

    def pace(self, *, known: bool) -> None:
        """Whether what comes next takes about as long as what was seen already."""
        self._pace_known = known

    def release(self) -> None:
        """The attempts are over."""
        faulthandler.cancel_dump_traceback_later()
        self._armed_at = 0.0
        if self._file is None:
            return
        self._file.close()
        self._file = None
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._paths = []

    def _measure(self) -> None:
        if self._armed_at:
            self.longest_s = max(self.longest_s, time.monotonic() - self._armed_at)
        self._armed_at = 0.0


@dataclass(frozen=True)
class Hang:
    """What the watchdog left behind."""

    silent_s: int
    traceback: str


def read_hang(attempt: Path) -> Hang | None:
    """How an attempt hung, or None when it did not."""
    try:
        text = (attempt / HANG_FILE).read_text(errors="replace")
    except FileNotFoundError:
        return None
    found = _DUMP.search(text)
    if found is None:
        return None
    hours, minutes, seconds = map(int, found.groups())
    return Hang(3600 * hours + 60 * minutes + seconds, text)
