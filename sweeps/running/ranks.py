"""The other ranks of a worker: Ray actors on the same machine, which take their share of every step."""

import os
import shutil
import signal
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray.util.placement_group import PlacementGroup, get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from trainers.engine.execution import Execution
from trainers.engine.ranks import follow, meet, part_company
from trainers.machine import prepare

_STARTED_S = 120.0  # a process that imports torch takes seconds
_LOST = 70  # the exit code of a worker whose rank was lost; any other would do


def device() -> str:
    """What this process trains on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def on_ranks(execution: Execution, count: int) -> Execution:
    """The execution on so many ranks; the steps of several are eager."""
    return execution if count == 1 else replace(execution, mode="eager", ranks=count)


class Rank:
    """One of the other ranks, in a process of its own."""

    def __init__(self) -> None:
        # when a machine is taken away, the first rank saves all there is, and needs the others for it
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        prepare()

    def ready(self) -> None:
        """Return once the process is there."""

    def follow(self, folder: str, number: int, count: int) -> None:
        """Take a share of every step, until the first rank lets go."""
        meet(Path(folder), number, count, device())
        follow(device())


class Company:
    """The other ranks of this process, from the first to the last of its packs.

    A rank that dies takes this process with it: its attempts end without a word, as those of any
    worker that was lost, and are tried again.
    """

    def __init__(self, count: int) -> None:
        """Start them in the bundles of this actor's placement group.

        Raises:
            RuntimeError: they have not come within two minutes.
        """
        self._parted = False
        self._ranks = [_start(number) for number in range(1, count)]
        ray.get([rank.ready.remote() for rank in self._ranks], timeout=_STARTED_S)
        folder = tempfile.mkdtemp(prefix="lawsweep-ranks-")  # seen by this user alone
        try:
            self._following = [
                rank.follow.remote(folder, number, count)
                for number, rank in enumerate(self._ranks, start=1)
            ]
            threading.Thread(target=self._watch, daemon=True).start()
            meet(Path(folder), 0, count, device())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def part(self) -> None:
        """Let them go, between two steps."""
        self._parted = True
        part_company()

    def _watch(self) -> None:
        ray.wait(self._following, num_returns=1)
        if not self._parted:
            os._exit(_LOST)


def leave_as_lost() -> None:
    """End this process: one of its ranks has died."""
    os._exit(_LOST)


def _start(number: int) -> Any:
    group = get_current_placement_group()
    assert isinstance(group, PlacementGroup)  # Tune has put this process into one
    bundle = dict(group.bundle_specs[number])
    where = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
    actor = ray.remote(Rank)
    return actor.options(
        num_cpus=bundle.pop("CPU", 0),
        num_gpus=bundle.pop("GPU", 0),
        resources=bundle,
        scheduling_strategy=where,
    ).remote()
