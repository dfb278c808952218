"""The `budget:` of a sweep file: how much of a machine the sweep may take."""

from typing import Annotated

from pydantic import Field

from trainers.schema import Frozen

Most = Annotated[float, Field(gt=0)]


class Limits(Frozen):
    """Most that a launch may still have to train; what is finished costs nothing.

    `gpu_hours` are hours of a device: a GPU, or a processor on a machine without one.
    """

    gpu_hours: Most | None = None
    flops: Most | None = None
    trials: int | None = Field(default=None, ge=1)

    def exceeded(self, *, gpu_hours: float, flops: float, trials: int) -> tuple[str, ...]:
        """For each limit that this is beyond, which one and by how much."""
        came = {"gpu_hours": gpu_hours, "flops": flops, "trials": float(trials)}
        limits = {"gpu_hours": self.gpu_hours, "flops": self.flops, "trials": self.trials}
        return tuple(
            f"budget.{name}: expected at most {_said(limit)} left to train, got {_said(came[name])},"
            f" {_said(came[name] - limit)} too many"
            for name, limit in limits.items()
            if limit is not None and came[name] > limit
        )


def _said(amount: float) -> str:
    """In four digits, unless it is a count that reads well in full."""
    return f"{amount:,.0f}" if 1_000 <= amount < 1e9 else f"{amount:.4g}"
