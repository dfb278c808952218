"""Where the trials of a launch train: in this process, or on a Ray cluster."""

from dataclasses import dataclass

from sweeps.workers import Workers


@dataclass(frozen=True)
class InProcess:
    """Here, one pack after the other, on `cpu` or `cuda`."""

    device: str = "cpu"
    save_every_s: float = 60.0
    allow_drift: bool = False


@dataclass(frozen=True)
class OnRay:
    """On the cluster at an address, or on one of this machine with so many workers."""

    address: str | None
    workers: int
    save_every_s: float
    wanted: Workers = Workers()  # noqa: RUF009 - frozen
    allow_drift: bool = False
