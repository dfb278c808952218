"""How busy the processors and GPUs of this machine are."""

import shutil
import subprocess
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_GPU_EVERY_S = 5.0
_QUERY = ["--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]


class DeviceUse:
    """Looks again and again; the use of processors is that since the last look."""

    def __init__(self) -> None:
        self._before = _processor_ticks()
        self._program = shutil.which("nvidia-smi")
        self._gpus = ""
        self._gpus_at = float("-inf")

    def look(self) -> str:
        """As in `CPU 97 %   GPU 83 %, 12 of 80 GB`; empty where nothing is known."""
        now = time.monotonic()
        if self._program is not None and now - self._gpus_at >= _GPU_EVERY_S:
            self._gpus, self._gpus_at = gpus_in_words(_asked(self._program)), now
        return "   ".join(part for part in (self._processors(), self._gpus) if part)

    def _processors(self) -> str:
        before, self._before = self._before, _processor_ticks()
        if before is None or self._before is None or self._before[1] <= before[1]:
            return ""
        busy = (self._before[0] - before[0]) / (self._before[1] - before[1])
        return f"CPU {max(0.0, min(1.0, busy)):.0%}".replace("%", " %")


def gpus_in_words(table: str) -> str:
    """The answer of `nvidia-smi` in a few words: mean use, the least busy one, and memory."""
    rows: list[tuple[float, float, float]] = []
    for line in table.splitlines():
        try:
            use, used_mb, total_mb = (float(cell) for cell in line.split(","))
        except ValueError:  # `[N/A]`: a part of a GPU, or one that has fallen off the bus
            continue
        rows.append((use, used_mb, total_mb))
    if not rows:
        return ""
    mean = sum(use for use, _, _ in rows) / len(rows)
    memory = f"{sum(r[1] for r in rows) / 1024:.0f} of {sum(r[2] for r in rows) / 1024:.0f} GB"
    if len(rows) == 1:
        return f"GPU {mean:.0f} %, {memory}"
    lowest = min(use for use, _, _ in rows)
    return f"{len(rows)} GPUs {mean:.0f} % (lowest {lowest:.0f} %), {memory}"


def _asked(program: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own program, and our own words
            [program, *_QUERY], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # a screen shows less, and training goes on
        return ""
    return done.stdout if done.returncode == 0 else ""


def _processor_ticks() -> tuple[int, int] | None:
    """Busy and all ticks of all processors since the machine started; None where nobody says."""
    try:
        first = _STAT.read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    ticks = [int(number) for number in first[1:9]]  # guests are counted in `user` already
    idle = sum(ticks[3:5])
    return sum(ticks) - idle, sum(ticks)
