"""Values, durations and sizes as a person reads them."""

from collections.abc import Mapping
from typing import Any


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def written(value: Any) -> str:
    """A value of an axis as it stands in a sweep file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:_}"
    if isinstance(value, Mapping):  # a whole part of a trial: its kind, then what it sets
        kind = [str(value["kind"])] if "kind" in value else []
        sets = [f"{name} {written(one)}" for name, one in value.items() if name != "kind"]
        return " ".join([*kind, *sets])
    return f"{value:.6g}" if isinstance(value, float) else str(value)
