"""What a report reads off curves and draws, as frozen models: milestones, thresholds and plots."""

from typing import Literal

from pydantic import Field, model_validator

from sweeps.axis import FieldPath
from sweeps.names import Finite, MetricName, Where, Written
from trainers.schema import Frozen

OVER_TRAINING = ("examples", "steps")
"""What a curve may be drawn over; as `x` of a plot they mean training curves."""


class Milestone(Frozen):
    """A new metric of every trial: how many examples or steps until a metric first reaches a level.

    A trial that never reaches it has no such number, and is counted as one that never did.
    """

    name: MetricName
    metric: MetricName
    at_least: Finite | None = None
    at_most: Finite | None = None
    by: Literal["examples", "steps"] = "examples"

    @model_validator(mode="after")
    def _one_level(self) -> "Milestone":
        _refuse_two(self.at_least, self.at_most)
        return self


class ThresholdSpec(Frozen):
    """A new table: for each combination of `by` the smallest value of a field that is enough.

    Enough is what lets the mean of a metric over all other fields reach the level, or the median of a
    milestone, unless `pool` says otherwise. A fit of these rows names the threshold in its `of`.
    """

    name: MetricName
    field: FieldPath
    metric: MetricName
    at_least: Finite | None = None
    at_most: Finite | None = None
    by: tuple[FieldPath, ...] = Field(default=(), max_length=3)
    where: Where = {}
    pool: Literal["mean", "median"] | None = None
    title: str = Field(default="", max_length=200)
    note: str = ""

    @model_validator(mode="after")
    def _one_level(self) -> "ThresholdSpec":
        _refuse_two(self.at_least, self.at_most)
        if self.field in self.by:
            raise ValueError(
                f"expected {self.field} not to be among by, its smallest is looked for"
            )
        return self


class Level(Frozen):
    """A reference line across a plot, at an exact value of the metric, and what it stands for."""

    at: Finite
    say: Written


class PlotSpec(Frozen):
    """A figure: metrics over a field, or over training where `x` is `examples` or `steps`.

    Each combination of `by` has a colour of its own; the mean is drawn, or the median of a milestone,
    unless `pool` says otherwise. `beside` is a metric that is a theory's prediction, drawn dashed;
    `levels` are reference lines; `log` says which axes are logarithmic; in a `row` the values of x stand
    side by side as names do, since what lies between two of them means nothing, as between bases.
    """

    title: str = Field(min_length=1, max_length=200)
    x: FieldPath
    y: tuple[MetricName, ...] = Field(min_length=1, max_length=4)
    by: tuple[FieldPath, ...] = Field(default=(), max_length=2)
    where: Where = {}
    pool: Literal["mean", "median", "each"] | None = None
    log: tuple[Literal["x", "y"], ...] = ()
    row: bool = False
    levels: tuple[Level, ...] = Field(default=(), max_length=8)
    beside: MetricName | None = None
    x_label: str = Field(default="", max_length=120)
    y_label: str = Field(default="", max_length=120)
    note: str = ""

    @model_validator(mode="after")
    def _apart(self) -> "PlotSpec":
        if self.x in self.by:
            raise ValueError(f"expected {self.x} on the axis or among by, not both")
        if len(set(self.y)) < len(self.y):
            raise ValueError("expected each metric of y once")
        if self.row and (self.over_training or "x" in self.log):
            raise ValueError("row: expected no training and no log: [x] beside it")
        return self

    @property
    def over_training(self) -> bool:
        """Whether training curves are drawn."""
        return self.x in OVER_TRAINING


def _refuse_two(at_least: float | None, at_most: float | None) -> None:
    if (at_least is None) == (at_most is None):
        raise ValueError("expected either at_least or at_most")
