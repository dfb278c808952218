"""Connect to Ray: an embedded cluster of this machine, or one that runs already; count its workers."""

import logging
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.authentication.authentication_utils import is_token_auth_enabled

from sweeps.running.joining import is_loopback
from sweeps.workers import Workers
from trainers.schema import InputError

_KIND = "accelerator_type:"  # Ray's resource for a kind of GPU
_TOUCH = 0.001  # of a resource that only says where to be
_GRAIN = 10_000  # Ray counts resources in parts of this


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that is alive."""

    number: str  # as Ray names it
    host: str
    address: str
    cpus: float
    gpus: float
    kind: str | None  # of its GPUs

    @property
    def name(self) -> str:
        """How a person finds it."""
        return self.address if self.host == self.address else f"{self.host} ({self.address})"


@contextmanager
def cluster(address: str | None, workers: int) -> Iterator[None]:
    """Be connected to Ray while the block runs; without an address, to a cluster started for it.

    Inside another such block it is the same connection: a new one costs seconds.

    `sweeps.running.joining` has set before how Ray asks for a token, and has looked who is there.

    Raises:
        InputError: nothing answers at the address; or the cluster asks nobody for a token and can be
            reached from other machines.
    """
    if ray.is_initialized():
        yield
        return
    # Answers that matter are waited for; a warm-up that dies with its node is no matter.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # the default of later versions; Ray warns without it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # the progress screen says what a user needs
    try:
        if address is None:
            # in no file; Ray would write one that everybody can read
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            # as important as the command itself; Ray's 15 leaves them nothing beside busy neighbours
            os.environ.setdefault("RAY_worker_niceness", "0")
            ray.init(
                address="local",  # whatever RAY_ADDRESS says
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
        if not is_token_auth_enabled():
            if address is None:
                raise RuntimeError("Ray was imported before it was told to ask for a token")
            _refuse_open_nodes()
        yield
    finally:
        ray.shutdown()


def nodes() -> tuple[Node, ...]:
    """The nodes that are alive, those with the most GPUs first."""
    alive = [_node(record) for record in ray.nodes() if record["Alive"]]
    return tuple(
        sorted(alive, key=lambda node: (-node.gpus, -node.cpus, node.address, node.number))
    )


def resources(wanted: Workers) -> dict[str, float]:
    """What one worker takes of its node, or each of its ranks, in the words of `tune.with_resources`.

    On a node with few processors for its GPUs, a worker takes its part of one.

    Raises:
        InputError: no node has the GPUs that are wanted, and none is to come.
    """
    suited = _suited(wanted)
    on_gpus = wanted.device_kind is not None or wanted.gpus_per_trial > 1
    if not any(node.gpus for node in suited) and not on_gpus:
        return {"cpu": 1.0, "gpu": 0.0}
    packs = wanted.packs_per_gpu
    cpu = min((node.cpus / (node.gpus * packs) for node in suited), default=1.0)
    taken = {"cpu": _rounded(min(1.0, cpu)), "gpu": _rounded(1 / packs)}
    return taken if wanted.device_kind is None else {**taken, _KIND + wanted.device_kind: _TOUCH}


def bundles(wanted: Workers) -> list[dict[str, float]]:
    """What each rank of a worker takes, in the words of a placement group.

    Raises:
        InputError: as of `resources`.
    """
    named = {"cpu": "CPU", "gpu": "GPU"}
    taken = {named.get(name, name): amount for name, amount in resources(wanted).items()}
    return [taken] * wanted.gpus_per_trial


def worker_count(wanted: Workers) -> int:
    """How many workers train at once: as many as wanted, or else as there is room for now.

    Raises:
        InputError: no node has the GPUs that are wanted, and none is to come.
    """
    if wanted.count is not None:
        return wanted.count
    taken, ranks = resources(wanted), wanted.gpus_per_trial
    return max(1, sum(_room(node, taken) // ranks for node in _suited(wanted)))


def can_train(node: Node) -> bool:
    """Whether workers may be put there; a head without processors only drives."""
    return node.cpus > 0


def _suited(wanted: Workers) -> list[Node]:
    """The nodes that train: those with GPUs of the kind, with any GPUs, or all where there are none."""
    training = [node for node in nodes() if can_train(node)]
    with_gpus = [node for node in training if node.gpus >= 1]
    if wanted.gpus_per_trial > 1:
        return _of_several(wanted, with_gpus)
    if wanted.device_kind is None:
        return with_gpus or training
    of_kind = [node for node in with_gpus if node.kind == wanted.device_kind]
    if not of_kind and wanted.count is None:
        there = sorted({node.kind or "unknown" for node in with_gpus})
        raise InputError(
            f"device_kind: expected a node with a GPU of the kind {wanted.device_kind},"
            f" got {', '.join(there) or 'none with a GPU'}; in a cluster that grows, say how many"
            " workers it shall have"
        )
    return of_kind


def _of_several(wanted: Workers, with_gpus: list[Node]) -> list[Node]:
    """The nodes on which several GPUs train one trial."""
    kind = wanted.device_kind
    found = [
        node
        for node in with_gpus
        if node.gpus >= wanted.gpus_per_trial and kind in (None, node.kind)
    ]
    if not found and wanted.count is None:
        of_kind = "" if kind is None else f" of the kind {kind}"
        most = max((node.gpus for node in with_gpus if kind in (None, node.kind)), default=0)
        raise InputError(
            f"gpus_per_trial: expected a node with {wanted.gpus_per_trial} GPUs{of_kind}, got at most"
            f" {most:g}; in a cluster that grows, say how many workers it shall have"
        )
    return found


def _room(node: Node, taken: dict[str, float]) -> int:
    """How many workers a node has room for."""
    slack = 1e-9
    by_cpu = math.floor(node.cpus / taken["cpu"] + slack)
    return min(by_cpu, math.floor(node.gpus / taken["gpu"] + slack)) if taken["gpu"] else by_cpu


def _rounded(share: float) -> float:
    """Down to what Ray can count, so that the shares of a GPU never exceed it."""
    return math.floor(share * _GRAIN) / _GRAIN


def _node(record: dict[str, Any]) -> Node:
    has = record["Resources"]
    kinds = [name.removeprefix(_KIND) for name in has if name.startswith(_KIND)]
    return Node(
        number=record["NodeID"],
        host=record["NodeManagerHostname"],
        address=record["NodeManagerAddress"],
        cpus=has.get("CPU", 0.0),
        gpus=has.get("GPU", 0.0),
        kind=kinds[0] if kinds else None,
    )


def _refuse_open_nodes() -> None:
    for node in nodes():
        if not is_loopback(node.address):
            raise InputError(
                "--insecure: expected a cluster on loopback alone beside it, got one with a node at"
                f" {node.address}"
            )
