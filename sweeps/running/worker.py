"""PackTrainable: what runs inside a Ray actor, one bundle of packs after the other."""

import gc

gc.set_threshold(50_000, 50, 50)  # importing what follows then takes a fifth less time

import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune
from typing_extensions import override

from sweeps.running.breaker import Breaker
from sweeps.running.bundle import read_bundle
from sweeps.running.halted import Halted
from sweeps.running.pack import train_pack
from sweeps.running.ranks import Company, device, leave_as_lost, on_ranks
from sweeps.running.watchdog import Watchdog
from sweeps.storage.ledger import Ledger
from sweeps.storage.left import Cause
from trainers.engine.ranks import RankLost
from trainers.machine import prepare
from trainers.result import Event, Reported

HALTED = "halted"
"""In a result: why no worker can go on."""

STOP_FILE = "stop"
"""In the scratch folder of a driver: its workers, and no others, save and end."""

KEY, STEP, OBJECTIVE, SOUND = "key", "step", "objective", "sound"
"""In a result that is to be judged: the trial, where it is, its objective, and whether all is finite."""

_RESULT_EVERY_S = 5.0  # Tune handles each result in the driver; the ledger holds the curves


class PackTrainable(tune.Trainable):
    """Trains the packs of the bundle that its config names; the ledger takes the results.

    Told by SIGTERM that its machine is taken away, it saves every trial and leaves with code 143.
    """

    @override
    def setup(self, config: dict[str, Any]) -> None:
        prepare()
        self._terminated = self._busy = False
        signal.signal(signal.SIGTERM, self._terminate)  # in place of Ray's, which exits at once
        ranks: int = config["ranks"]
        self._company = Company(ranks) if ranks > 1 else None
        self.reset_config(config)

    @override
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another bundle in the same process: starting one costs a second, this costs nothing."""
        self._judged_by: str = new_config["judged_by"]
        self._is_left = False
        self._training = self._events(new_config)
        self._is_new = True
        return True

    @override
    def step(self) -> dict[str, Any]:
        if self._is_new:  # whoever counts starts in vain knows that this one was none
            self._is_new = False
            return {"done": False}
        until = time.monotonic() + _RESULT_EVERY_S
        self._busy = True
        try:
            for event in self._training:
                if self._judged_by and isinstance(event, Reported):
                    return _to_be_judged(event, self._judged_by)
                if time.monotonic() > until:
                    return {"done": False}
        except Halted as error:
            return {"done": True, HALTED: str(error)}
        finally:
            self._busy = False
            if self._terminated:
                self._leave()
        return {"done": True}

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save into the ledger what is being trained, and leave it: whoever judges it has paused it."""
        self._is_left = self._busy = True
        try:
            for _ in self._training:
                pass
        finally:
            self._busy = False
            if self._terminated:
                self._leave()

    @override
    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: a pack starts from what the ledger holds of each trial."""

    @override
    def cleanup(self) -> None:
        if self._company is not None:
            self._company.part()

    def _events(self, config: dict[str, Any]) -> Iterator[Event]:
        try:
            yield from self._trained(config)
        except RankLost:
            leave_as_lost()

    def _trained(self, config: dict[str, Any]) -> Iterator[Event]:
        ledger = Ledger(Path(config["storage"]))
        folder = ledger.sweep(config["sweep"])
        breaker, watchdog = Breaker(folder), Watchdog()
        stop = Path(config["scratch"]) / STOP_FILE

        def should_stop() -> bool:
            if self._terminated or self._is_left or folder.stop_requested() or stop.exists():
                return True
            return not stop.parent.exists()  # a newer driver has cleared away what this one left

        def leaves_as() -> Cause:
            return "terminated" if self._terminated else "stopped"

        if should_stop():
            return
        for queue in read_bundle(Path(config["bundle"])):
            yield from train_pack(
                ledger,
                queue.configs,
                width=queue.width,
                execution=on_ranks(queue.execution, config["ranks"]),
                device=device(),
                save_every_s=config["save_every_s"],
                should_stop=should_stop,
                leaves_as=leaves_as,
                allow_drift=config["allow_drift"],
                watchdog=watchdog,
                breaker=breaker,
            )

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True
        if not self._busy:  # between two steps, or idle: nobody else would look
            self._leave()

    def _leave(self) -> None:
        """Save what is being trained, and end this process; all that it knew is on the disk."""
        for _ in self._training:
            pass
        os._exit(128 + signal.SIGTERM)


def _to_be_judged(event: Reported, metric: str) -> dict[str, Any]:
    values = event.point.values
    return {
        "done": False,
        KEY: event.key,
        STEP: event.point.step,
        OBJECTIVE: values.get(metric, math.nan),
        SOUND: all(map(math.isfinite, values.values())),
    }
