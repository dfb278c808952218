"""Bundles: short packs that a worker takes at once, since each thing that Ray starts has its price."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.planning.cost import Pack
from trainers.config import TrialConfig, trial_config
from trainers.engine.execution import Execution

_LONG_S = 20.0  # of work: handing out costs a tenth of a second, and is then no matter
_TRIAL_S = 0.03  # of a trial whose training takes no time: what it writes
_ROUNDS = 2  # bundles for each worker out of what is left, so that all end at about the same time


def bundles(packs: Sequence[Pack], workers: int) -> Iterator[tuple[Pack, ...]]:
    """Packs in their order, in bundles of about 20 seconds that become shorter towards the end."""
    left = sum(map(_seconds, packs))
    bundle: list[Pack] = []
    filled = 0.0
    for pack in packs:
        bundle.append(pack)
        filled += _seconds(pack)
        if filled >= min(_LONG_S, left / (_ROUNDS * workers)):
            yield tuple(bundle)
            left -= filled
            bundle, filled = [], 0.0
    if bundle:
        yield tuple(bundle)


@dataclass(frozen=True)
class Queue:
    """A pack as a worker takes it: so many trials at once, the others as rows become free."""

    configs: list[TrialConfig]
    width: int
    execution: Execution


def write_bundle(file: Path, bundle: Sequence[Pack]) -> None:
    """Store a bundle for the worker that takes it, on whatever node."""
    packs = [
        {
            "width": pack.width,
            "execution": asdict(pack.execution),
            "trials": [trial.trial.config.model_dump() for trial in pack.trials],
        }
        for pack in bundle
    ]
    file.write_text(json.dumps(packs))


def read_bundle(file: Path) -> Iterator[Queue]:
    """The packs of a bundle, one after the other."""
    for pack in json.loads(file.read_text()):
        configs = [trial_config(fields) for fields in pack["trials"]]
        yield Queue(configs, pack["width"], Execution(**pack["execution"]))


def _seconds(pack: Pack) -> float:
    return pack.seconds + _TRIAL_S * len(pack.trials)
