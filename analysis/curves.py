"""Curves: what a metric was after so many steps and examples of one trial's training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Over = Literal["examples", "steps"]


@dataclass(frozen=True)
class Curve:
    """The values of one metric, in the order of training; `batch_size` is in examples a step.

    Raises:
        ValueError: there are no points, or not as many steps as values.
    """

    steps: Float[np.ndarray, " point"]
    values: Float[np.ndarray, " point"]
    batch_size: int

    def __post_init__(self) -> None:
        if not len(self.steps) or len(self.steps) != len(self.values):
            raise ValueError(f"expected points, got {len(self.steps)} of {len(self.values)} values")

    def over(self, unit: Over) -> Float[np.ndarray, " point"]:
        """Where its points lie: steps, or examples shown until then."""
        return self.steps if unit == "steps" else self.steps * self.batch_size


Curves = Mapping[str, Mapping[str, Curve]]
"""By the key of a trial, then by metric."""


def curve_of(points: Mapping[int, float], batch_size: int) -> Curve:
    """A curve from the values by their step."""
    steps = sorted(points)
    return Curve(
        np.array(steps, dtype=np.float64),
        np.array([points[step] for step in steps], dtype=np.float64),
        batch_size,
    )
