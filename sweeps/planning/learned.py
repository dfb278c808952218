"""What finished trials say of the pace: how long their packs took, from the first start to the last end."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from sweeps.planning.rates import Rates, device_kind
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger, Look
from sweeps.storage.machine import processor
from sweeps.storage.start import Begun

_LOOKED_AT = 48  # finished trials of a shape, at the most: each costs a file to read


@dataclass(frozen=True)
class Done:
    """A trial that has ended: its shape, and how many steps of training its life was worth."""

    key: str
    shape: str
    steps: float


@dataclass(frozen=True)
class _Run:
    """One finished trial in the process that trained it, in unix time."""

    done: Done
    first_ms: int
    last_ms: int


def learn(rates: Rates, ledger: Ledger, done: Iterable[Done], looks: Mapping[str, Look]) -> None:
    """Tell `rates` of packs that this kind of device has trained, until it knows enough of a shape.

    Trials that one process trained at the same time were a pack. One that was interrupted says
    nothing clear, and is left out.
    """
    by_shape: defaultdict[str, list[Done]] = defaultdict(list)
    for each in done:
        if (
            len(by_shape[each.shape]) < _LOOKED_AT
            and each.key not in rates.trials
            and not rates.knows(each.shape)
        ):
            by_shape[each.shape].append(each)
    for shape, trials in by_shape.items():
        by_process: defaultdict[tuple[str, int], list[_Run]] = defaultdict(list)
        for each in trials:
            run = _run(rates, ledger, each, looks[each.key])
            if run is not None:
                begun, found = run
                by_process[begun.host, begun.pid].append(found)
        for runs in by_process.values():
            for pack in _overlapping(runs):
                seconds = (max(r.last_ms for r in pack) - pack[0].first_ms) / 1000
                steps = sum(r.done.steps for r in pack)
                if seconds > 0 and steps > 0:
                    rates.learn(shape, [r.done.key for r in pack], seconds / steps)


def _run(rates: Rates, ledger: Ledger, done: Done, look: Look) -> tuple[Begun, _Run] | None:
    attempts = ledger.trial(done.key).attempts()
    begun = Attempt(attempts[0]).begun() if len(attempts) == 1 else None
    if begun is None or look.ending is None or not _was_here(begun, rates.device):
        return None
    return begun, _Run(done, begun.time_ms, look.ending.time_ms)


def _was_here(begun: Begun, device: str) -> bool:
    """Whether an attempt was made on a device of this kind."""
    if begun.fingerprint.get("torch") != torch.__version__:
        return False
    if device == "cuda":
        return begun.fingerprint.get("gpu") == device_kind(device)
    return begun.fingerprint.get("gpu") == "" and begun.processor == processor()


def _overlapping(runs: list[_Run]) -> list[list[_Run]]:
    """Runs of one process in groups that were there at the same time."""
    groups: list[list[_Run]] = []
    end = 0
    for run in sorted(runs, key=lambda one: one.first_ms):
        if not groups or run.first_ms >= end:
            groups.append([])
            end = run.last_ms
        groups[-1].append(run)
        end = min(end, run.last_ms)  # a pack has begun before any of it ends
    return groups
