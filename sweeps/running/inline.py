"""Train packs in this process, one after the other: for a machine without Ray, or a debugger."""

from collections.abc import Sequence

from sweeps.planning.cost import Pack
from sweeps.running.pack import PackFailed, train_pack
from sweeps.running.stopping import stopping
from sweeps.storage.ledger import Ledger
from trainers.machine import prepare


def train_inline(
    packs: Sequence[Pack], ledger: Ledger, sweep: str, *, device: str, save_every_s: float
) -> None:
    """Train the open packs here.

    Raises:
        Interrupted: the user asked to stop.
    """
    prepare()
    folder = ledger.sweep(sweep)
    with stopping(folder) as stopped:
        for pack in packs:
            configs = [trial.trial.config for trial in pack.trials]
            training = train_pack(
                ledger,
                configs,
                device=device,
                save_every_s=save_every_s,
                should_stop=folder.stop_requested,
            )
            try:
                for _ in training:
                    pass
            except PackFailed:
                continue  # its trials have the outcome `failed`, and the sweep says so at its end
            if stopped.is_set():
                break
