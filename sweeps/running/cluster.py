"""Connect to Ray: an embedded cluster of this machine, or one that runs already."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from trainers.schema import InputError


@contextmanager
def cluster(address: str | None, workers: int) -> Iterator[None]:
    """Be connected to Ray while the block runs; without an address, to a cluster started for it.

    An embedded cluster asks every caller for a token that only this process and its workers know, and
    listens on loopback alone if `RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER` was 0 when Ray was imported.

    Raises:
        InputError: nothing answers at the address.
    """
    # the default of later versions; Ray warns without it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # the progress screen says what a user needs
    try:
        if address is None:
            # a token of its own, in no file; Ray would write one that everybody can read
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            ray.init(
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        words = " ".join(str(error).split())[:200]
        raise InputError(f"--address {address}: expected a Ray cluster there: {words}") from error
    try:
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
