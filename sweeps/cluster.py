"""Connect to Ray: an embedded cluster of this machine, or one that runs already."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from trainers.schema import InputError


@contextmanager
def cluster(address: str | None, workers: int) -> Iterator[None]:
    """Be connected to Ray while the block runs; without an address, to a cluster started for it.

    An embedded cluster listens on this machine alone and asks for a token, as does any cluster that
    is joined.

    Raises:
        InputError: nothing answers at the address.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    _protect_token()
    try:
        if address is None:
            ray.init(
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                configure_logging=False,
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())[:200]
        raise InputError(f"--address {address}: expected a Ray cluster there: {words}") from error
    try:
        _protect_token()  # Ray has just written it, readable by everybody
        yield
    finally:
        ray.shutdown()


def cluster_workers() -> int:
    """One worker for each GPU of the cluster, or for each processor where there is no GPU."""
    resources = ray.cluster_resources()
    return int(resources.get("GPU", 0)) or int(resources.get("CPU", 1))


def has_gpus() -> bool:
    """Whether the cluster has any GPU."""
    return ray.cluster_resources().get("GPU", 0) >= 1


def _protect_token() -> None:
    token = Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)
