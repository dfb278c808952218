"""Hand the unfinished packs to Ray Tune and wait."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from typing_extensions import override

from sweeps.planning.cost import Pack
from sweeps.running.bundle import bundles, write_bundle
from sweeps.running.cluster import bundles as rank_bundles
from sweeps.running.cluster import cluster, worker_count
from sweeps.running.halted import Halted
from sweeps.running.stopping import stopping
from sweeps.running.where import OnRay
from sweeps.running.worker import HALTED, STOP_FILE, PackTrainable
from sweeps.storage import durable
from sweeps.storage.ledger import Ledger

_IN_VAIN = 10  # workers in a row that lack a package, say, or cannot write the storage folder


def train_on_ray(
    packs: Sequence[Pack],
    ledger: Ledger,
    sweep: str,
    there: OnRay,
    *,
    lost: threading.Event | None = None,
) -> None:
    """Train the open packs on a Ray cluster, each worker one bundle at a time, in their order.

    A worker that dies is replaced as often as it takes: what its trials get is decided by what the
    ledger holds of them (see `history`). What Tune keeps of its own is thrown away. When `lost` is
    set, another driver has the sweep: the workers of this one end, and no other.

    Raises:
        Halted: no worker can go on.
        Interrupted: the user asked to stop.
        InputError: there is no cluster at the address.
    """
    hand_out(lambda at_once: bundles(packs, at_once), ledger, sweep, there, lost=lost)


def hand_out(
    left: Callable[[int], Iterator[tuple[Pack, ...]]],
    ledger: Ledger,
    sweep: str,
    there: OnRay,
    *,
    lost: threading.Event | None = None,
    most: int = sys.maxsize,
    judge: TrialScheduler | None = None,
    judged_by: str = "",
) -> None:
    """Train bundles on a Ray cluster, each asked for when a worker is free: `left` knows how many are.

    `most` bounds how many train at once. With a judge every point of a trial is shown to it, as results
    with the metric `judged_by`; each bundle must then be one trial.

    Raises:
        Halted: no worker can go on.
        Interrupted: the user asked to stop.
        InputError: there is no cluster at the address.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # they triple the price of a trial
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = str(10**9)  # its state is never restored
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # its tables would run through the progress screen
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # `stopping` saves before it ends
    # Tune would hand Amazon's keys to the workers, who need none, and Ray writes what it hands on
    # into logs that everybody can read.
    ENV_VARS_TO_PROPAGATE.difference_update([n for n in ENV_VARS_TO_PROPAGATE if "AWS" in n])
    folder = ledger.sweep(sweep)
    with _scratch(folder.path.resolve()) as scratch:
        halt = _Halt(scratch, lost or threading.Event())
        given = {
            "storage": str(ledger.root.resolve()),
            "sweep": sweep,
            "scratch": str(scratch),
            "save_every_s": there.save_every_s,
            "allow_drift": there.allow_drift,
            "judged_by": judged_by,
            "ranks": there.wanted.gpus_per_trial,
        }
        with cluster(there.address, there.workers), stopping(folder):
            at_once = min(most, worker_count(there.wanted))

            def is_over() -> bool:
                return bool(halt.reason) or folder.stop_requested()

            # all ranks of a worker on one node
            place = tune.PlacementGroupFactory(rank_bundles(there.wanted), strategy="STRICT_PACK")
            tuner = tune.Tuner(
                tune.with_resources(PackTrainable, place),
                tune_config=tune.TuneConfig(
                    search_alg=_Bundles(left(at_once), scratch, given, is_over),
                    scheduler=judge,
                    num_samples=-1,  # until nothing is left
                    reuse_actors=True,
                    max_concurrent_trials=at_once,
                ),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(scratch),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=-1),
                    callbacks=[halt],
                ),
            )
            tuner.fit()
    if halt.reason:
        raise Halted(halt.reason)


@contextmanager
def _scratch(sweep: Path) -> Iterator[Path]:
    """A folder for what only this driver and its workers need; those of dead drivers go."""
    for old in sweep.glob("ray-*"):
        shutil.rmtree(old, ignore_errors=True)
    scratch = sweep / f"ray-{uuid4().hex}"
    durable.make_folder(scratch)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Bundles(Searcher):
    """Gives Tune the next bundle when a worker is free for it; nothing once the sweep is to stop."""

    def __init__(
        self,
        left: Iterator[tuple[Pack, ...]],
        scratch: Path,
        given: Mapping[str, Any],
        is_over: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._left, self._scratch, self._given, self._is_over = left, scratch, given, is_over
        self._files: dict[str, Path] = {}

    @override
    def suggest(self, trial_id: str) -> Any:
        bundle = None if self._is_over() else next(self._left, None)
        if bundle is None:
            return Searcher.FINISHED
        file = self._files[trial_id] = self._scratch / f"bundle-{trial_id}.json"
        write_bundle(file, bundle)
        return {**self._given, "bundle": str(file)}

    @override
    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        file = self._files.pop(trial_id, None)
        if file is not None:
            file.unlink(missing_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune stores its tuner for a restore, which is not used

    @override
    def save(self, checkpoint_path: str) -> None:
        """Nothing: a later launch plans again from the ledger."""

    @override
    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as nothing was saved."""


class _Halt(tune.Callback):
    """Stops the workers of this driver when none can go on, or when none of them even starts."""

    def __init__(self, scratch: Path, lost: threading.Event) -> None:
        self.reason = ""
        self._scratch, self._lost = scratch, lost
        self._in_vain = self._raised = 0

    def __getstate__(self) -> dict[str, Any]:
        return {}  # as above

    @override
    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._lost.is_set() and not self.reason:
            self._stop("another driver has taken the sweep over")

    @override
    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._in_vain = 0
        if result.get("done"):
            self._raised = 0
        if HALTED in result:
            self._stop(str(result[HALTED]))

    @override
    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        if isinstance(
            trial.get_pickled_error(), RayTaskError
        ):  # what trials raise is in the ledger
            self._raised += 1
        else:
            self._in_vain += 1
        if max(self._raised, self._in_vain) >= _IN_VAIN:
            words = " ".join(str(trial.get_error()).split())[-300:]
            self._stop(f"{_IN_VAIN} workers in a row came to nothing: {words}")

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        # On a full disk a worker finds out itself; a file without content often still has room.
        with suppress(OSError):
            (self._scratch / STOP_FILE).touch()
