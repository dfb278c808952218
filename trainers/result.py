"""What training a trial gives: points on its curve, checkpoints, and one outcome; no torch."""

from dataclasses import dataclass, field
from typing import Any, Literal

OutcomeName = Literal["finished", "diverged", "stopped", "failed"]


@dataclass(frozen=True)
class Point:
    """The metrics of one trial at one step; a step trained again gives the same bits again."""

    step: int
    values: dict[str, float]  # Inf and NaN are allowed, and kept


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, whatever happened; `reason` says why it did not finish."""

    name: OutcomeName
    step: int
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    details: dict[str, Any] = field(default_factory=dict[str, Any])  # JSON: {"learned": [1, 2, 3]}
    reason: str = ""


@dataclass(frozen=True)
class Reported:
    """Event: a trial reached a step at which it reports."""

    key: str
    point: Point


@dataclass(frozen=True)
class Saved:
    """Event: the full state of a trial after `step`; `tensors` are on the CPU, `numbers` plain."""

    key: str
    step: int
    tensors: dict[str, Any]
    numbers: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """Event: a trial is over and has left its pack."""

    key: str
    outcome: Outcome


Event = Reported | Saved | Ended
