"""PackTrainable: what runs inside a Ray actor, one pack after the other."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ray import tune
from typing_extensions import override

from sweeps.running.pack import PackFailed, train_pack
from sweeps.storage.ledger import Ledger
from trainers.config import trial_config
from trainers.machine import prepare

_RESULT_EVERY_S = 1.0  # Tune handles each result in the driver; the ledger holds the curves


class PackTrainable(tune.Trainable):
    """Trains the pack that its config names; the ledger holds the configs and takes the results."""

    @override
    def setup(self, config: dict[str, Any]) -> None:
        prepare()
        self.reset_config(config)

    @override
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another pack in the same process: starting one costs a second, this costs nothing."""
        ledger = Ledger(Path(new_config["storage"]))
        folder = ledger.sweep(new_config["sweep"])
        wanted = frozenset(new_config["pack"].split())
        configs = [
            trial_config(trial["config"]) for trial in folder.trials() if trial["key"] in wanted
        ]
        self._training: Iterator[None] = train_pack(
            ledger,
            configs,
            device="cuda" if torch.cuda.is_available() else "cpu",
            save_every_s=new_config["save_every_s"],
            should_stop=folder.stop_requested,
        )
        return True

    @override
    def step(self) -> dict[str, Any]:
        until = time.monotonic() + _RESULT_EVERY_S
        try:
            for _ in self._training:
                if time.monotonic() > until:
                    return {"done": False}
        except PackFailed as error:  # in the ledger, with its traceback; the worker can go on
            return {"done": True, "failed": str(error)}
        return {"done": True}

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: checkpoints are in the ledger, one for each trial."""

    @override
    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: a pack starts from what the ledger holds of each trial."""
