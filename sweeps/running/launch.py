"""Hand the unfinished packs to Ray Tune and wait."""

import os
import shutil
from collections.abc import Sequence

from ray import tune

from sweeps.planning.cost import Pack
from sweeps.running.cluster import cluster, resources, worker_count
from sweeps.running.stopping import stopping
from sweeps.running.worker import PackTrainable
from sweeps.storage.ledger import Ledger
from sweeps.workers import Workers

_LOST_WORKERS = 3  # a pack whose worker dies starts again from its checkpoints, so often


def train_on_ray(
    packs: Sequence[Pack],
    ledger: Ledger,
    sweep: str,
    *,
    address: str | None,
    workers: int,
    wanted: Workers,
    save_every_s: float,
) -> None:
    """Train the open packs on a Ray cluster, each worker one pack at a time, longest first.

    What Tune keeps of its own is thrown away: the ledger holds every result, and a later launch
    plans again from there.

    Raises:
        Interrupted: the user asked to stop.
        InputError: there is no cluster at the address.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # they triple the price of a trial
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # its tables would run through the progress screen
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # `stopping` saves before it ends
    folder = ledger.sweep(sweep)
    scratch = folder.path.resolve() / "ray"
    shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
    try:
        with cluster(address, workers), stopping(folder):
            tuner = tune.Tuner(
                tune.with_resources(PackTrainable, resources(wanted)),
                param_space={
                    "pack": tune.grid_search([_name(pack) for pack in packs]),
                    "storage": str(ledger.root.resolve()),
                    "sweep": sweep,
                    "save_every_s": save_every_s,
                },
                tune_config=tune.TuneConfig(
                    reuse_actors=True, max_concurrent_trials=worker_count(wanted)
                ),
                run_config=tune.RunConfig(
                    name=scratch.name,
                    storage_path=str(scratch.parent),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=_LOST_WORKERS),
                ),
            )
            tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _name(pack: Pack) -> str:
    return " ".join(trial.trial.key for trial in pack.trials)
