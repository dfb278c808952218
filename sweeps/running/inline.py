"""Train packs in this process, one after the other: for a machine without Ray, or a debugger."""

import threading
from collections.abc import Iterable

from sweeps.planning.cost import Pack
from sweeps.running.breaker import Breaker
from sweeps.running.pack import train_pack
from sweeps.running.stopping import stopping
from sweeps.running.where import InProcess
from sweeps.storage.ledger import Ledger
from trainers.machine import prepare


def train_inline(
    packs: Iterable[Pack],
    ledger: Ledger,
    sweep: str,
    here: InProcess,
    *,
    lost: threading.Event | None = None,
) -> None:
    """Train the open packs here. No watchdog looks on: it would end the driver, or a debugger.

    When `lost` is set, another driver has the sweep, and this one ends.

    Raises:
        Halted: the disk is full.
        Interrupted: the user asked to stop.
    """
    prepare()
    folder = ledger.sweep(sweep)
    breaker = Breaker(folder)
    with stopping(folder) as stopped:

        def should_stop() -> bool:
            is_lost = lost is not None and lost.is_set()
            return is_lost or stopped.is_set() or folder.stop_requested()

        for pack in packs:
            training = train_pack(
                ledger,
                [trial.trial.config for trial in pack.trials],
                width=pack.width,
                execution=pack.execution,
                device=here.device,
                save_every_s=here.save_every_s,
                should_stop=should_stop,
                allow_drift=here.allow_drift,
                breaker=breaker,
            )
            for _ in training:
                pass
