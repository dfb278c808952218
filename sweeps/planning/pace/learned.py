"""What finished trials say of the pace: how long each took from start to end, and beside how many."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from sweeps.planning.pace.rates import Rates, device_kind
from sweeps.planning.pace.way import Way
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger, Look
from sweeps.storage.machine import processor
from sweeps.storage.start import Begun
from trainers.engine.execution import Execution, execution_of

_LOOKED_AT = 48  # finished trials of a shape, at the most: each costs a file to read


@dataclass(frozen=True)
class Done:
    """A trial that has ended: its shape, and how many steps of training its life was worth."""

    key: str
    shape: str
    steps: float


def learn(rates: Rates, ledger: Ledger, done: Iterable[Done], looks: Mapping[str, Look]) -> None:
    """Tell `rates` of trials that this kind of device has trained, until it knows enough of a shape.

    A trial that was interrupted says nothing clear, and is left out.
    """
    counts: Counter[str] = Counter()
    for each in done:
        if each.key in rates.trials or counts[each.shape] >= _LOOKED_AT or rates.knows(each.shape):
            continue
        counts[each.shape] += 1
        attempts = ledger.trial(each.key).attempts()
        begun = Attempt(attempts[0]).begun() if len(attempts) == 1 else None
        ending = looks[each.key].ending
        if begun is None or ending is None or not _was_here(begun, rates.device):
            continue
        execution = execution_of(begun.fingerprint.get("execution", Execution().words))
        seconds = (ending.time_ms - begun.time_ms) / 1000
        if seconds > 0 and each.steps > 0 and begun.rows:
            way = Way(begun.rows, execution.mode)
            rates.learn(each.shape, each.key, way, seconds / each.steps / begun.rows)


def _was_here(begun: Begun, device: str) -> bool:
    """Whether an attempt was made on a device of this kind."""
    if begun.fingerprint.get("torch") != torch.__version__:
        return False
    if device == "cuda":
        return begun.fingerprint.get("gpu") == device_kind(device)
    return begun.fingerprint.get("gpu") == "" and begun.processor == processor()
