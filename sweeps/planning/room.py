"""How much memory and disk a sweep takes."""

import shutil
from pathlib import Path

from sweeps.planning.cost import Pack, Price
from sweeps.planning.pace.work import numbers_of_step
from trainers.checkpoint import KEPT
from trainers.config import TrialConfig
from trainers.memory import training_bytes

_BYTES_OF_PARAMETER = 16  # float32 weight, gradient and two moments
_SAVED_BYTES_OF_PARAMETER = 12  # without the gradient
_MANY_NUMBERS = 50_000_000  # of a step: fewer stay below a gigabyte, however many layers there are
_FILES_BYTES = 12_000  # config, start, outcome, and what a checkpoint has beside its numbers
_LINE_BYTES, _METRIC_BYTES = 70, 40  # of a report in the ledger


def memory_bytes(price: Price) -> int | None:
    """Memory of the largest pack; None where it is too small to be worth the seconds of finding out."""
    largest = max(price.packs, key=_numbers, default=None)
    if largest is None or _numbers(largest) < _MANY_NUMBERS:
        return None
    configs = [each.trial.config for each in largest.trials[: largest.width]]
    return training_bytes(configs, execution=largest.execution)


def state_bytes(price: Price) -> int:
    """Weights, gradients and moments of the largest pack."""
    packs = (
        sum(each.trial.variant.cost.all_params for each in pack.trials[: pack.width])
        for pack in price.packs
    )
    return _BYTES_OF_PARAMETER * max(packs, default=0)


def disk_bytes(price: Price) -> int:
    """What is left to train will write into the storage, at the most: `gc` frees the checkpoints."""
    return sum(
        KEPT * _SAVED_BYTES_OF_PARAMETER * each.trial.variant.cost.all_params
        + each.trial.variant.of_shape(_curve_bytes)
        + _FILES_BYTES
        for each in price.open
    )


def free_bytes(storage: Path) -> int:
    """Free space where the storage is, or will be."""
    folder = storage.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _curve_bytes(config: TrialConfig) -> int:
    return config.evaluation.points * (_LINE_BYTES + _METRIC_BYTES * len(config.metrics()))


def _numbers(pack: Pack) -> int:
    return pack.width * pack.trials[0].trial.variant.of_shape(numbers_of_step)
