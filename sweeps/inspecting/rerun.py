"""Train one trial again, from its stored config, and hold every point against the ledger's."""

import struct
from dataclasses import replace

from rich.console import Console

from sweeps.inspecting.stored import stored_trial
from sweeps.planning.standing import begun_in
from sweeps.storage.ledger import Ledger
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.machine import prepare
from trainers.result import Ended, Reported


def rerun_trial(ledger: Ledger, key: str, console: Console) -> bool:
    """Print each point as it comes; whether all that the ledger holds came again to the bit.

    Raises:
        InputError: there is no such trial.
    """
    folder, config = stored_trial(ledger, key)
    recorded = {point.step: point.values for point in folder.points()}
    prepare()
    same = True
    began = begun_in(folder) or Execution()
    for event in train([Start(config)], execution=replace(began, ranks=1)):
        match event:
            case Reported(_, point):
                verdict = "new"
                if point.step in recorded:
                    agrees = _bits(recorded[point.step]) == _bits(point.values)
                    same = same and agrees
                    verdict = "same bits" if agrees else "DIFFERS"
                shown = "  ".join(f"{name} {value:.6g}" for name, value in point.values.items())
                console.print(f"step {point.step:>9,}  {shown}  [dim]{verdict}[/]", highlight=False)
            case Ended(_, outcome):
                metrics = "  ".join(f"{name} {v:.6g}" for name, v in outcome.metrics.items())
                console.print(f"{outcome.name}  {metrics}{outcome.reason}", highlight=False)
            case _:
                continue
    return same


def _bits(values: dict[str, float]) -> dict[str, bytes]:
    return {name: struct.pack("<d", value) for name, value in values.items()}
