"""The processor of this machine, by its name."""

import platform
from functools import cache
from pathlib import Path

_PROCESSOR_FILE = Path("/proc/cpuinfo")


@cache
def processor() -> str:
    """The model of the processor as it calls itself: `Intel(R) Xeon(R) Platinum 8488C`."""
    if _PROCESSOR_FILE.exists():
        for line in _PROCESSOR_FILE.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
