"""train(trials): the training loop of a pack, as a stream of events."""

import time
from collections.abc import Callable, Iterator, Sequence

import torch

from trainers.batches import Batch, training_batch
from trainers.config import TrialConfig
from trainers.pack import Pack, Start
from trainers.result import Event

_LOOK_EVERY_S = 1.0  # between reports: whether to stop, and whether to save
_AHEAD_EXAMPLES = 32_768  # of a pack, that are made at once, several steps ahead ...
_AHEAD_NUMBERS = 1 << 20  # ... unless they hold more tokens or numbers than this


def train(
    starts: Sequence[Start],
    *,
    device: str = "cpu",
    save_every_s: float = 60.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a pack: trials of equal shape, stacked. No trial's events depend on the others.

    A trial that finishes is saved a last time before its outcome. Asked to stop, the pack saves
    every trial and returns; such a trial has no outcome and can go on later.

    Raises:
        ValueError: the trials cannot be stacked, or a saved state is of another trial.

    """
    if len({start.config.stacks_with() for start in starts}) != 1:
        raise ValueError("expected trials of equal shape in a pack")
    for start in starts:
        if start.saved is not None and start.saved.key != start.config.key():
            raise ValueError(
                f"expected the state of trial {start.config.key()}, got {start.saved.key}"
            )
    pack = Pack.of(starts, torch.device(device))
    made: Batch | None = None
    ready = ahead = 0
    size = pack.configs[0].batch_size
    saved_at = looked_at = time.monotonic()
    whole = [row for row in range(len(pack.keys)) if pack.ended(row)]  # stopped before its outcome
    if whole:
        yield from pack.end(whole)
        pack.keep([row for row in range(len(pack.keys)) if row not in whole])
    while pack.keys:
        if made is None or ready == ahead:
            if made is None or not same_batch(pack.configs):
                ahead = min(steps_ahead(pack.configs), pack.steps_left())
                made = training_batch(pack.configs, pack.done, ahead, pack.device)
            ready = 0
        pack.step(made.part(ready * size, (ready + 1) * size))
        ready += 1
        due = [row for row in range(len(pack.keys)) if pack.reports(row)]
        if due:
            yield from pack.report(due)
            over = [row for row in due if pack.ended(row) or pack.broke[row] >= 0]
            if over:
                yield from pack.saved([row for row in over if pack.broke[row] < 0])
                yield from pack.end(over)
                left = [row for row in range(len(pack.keys)) if row not in over]
                pack.keep(left)
                made = made.of(left)
        now = time.monotonic()
        if not due and now - looked_at < _LOOK_EVERY_S:
            continue
        looked_at = now
        if should_stop():
            yield from pack.saved(range(len(pack.keys)))
            return
        if pack.keys and now - saved_at > save_every_s:
            yield from pack.saved(range(len(pack.keys)))
            saved_at = time.monotonic()


def same_batch(configs: Sequence[TrialConfig]) -> bool:
    """Whether every step shows every trial its whole stored set, so that it is made once."""
    return all(
        config.data.order == "cycle" and config.data.distinct == config.batch_size
        for config in configs
    )


def steps_ahead(configs: Sequence[TrialConfig]) -> int:
    """Steps whose examples are made at once."""
    if same_batch(configs):
        return 1
    config = configs[0]
    examples = min(_AHEAD_EXAMPLES, _AHEAD_NUMBERS // config.training_shape().numbers)
    return max(1, examples // (config.batch_size * len(configs)))
