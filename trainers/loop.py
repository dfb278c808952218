"""train(trials): the training loop of a pack, as a stream of events."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence

import torch

from trainers.batches import training_batch
from trainers.config import TrialConfig
from trainers.engine.compiled import refuse_without_compiler
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.result import Event

_LOOK_EVERY_S = 1.0  # between reports: whether to stop, and whether to save
_AHEAD_EXAMPLES = 32_768  # of a pack, that are made at once, several steps ahead ...
_AHEAD_NUMBERS = 1 << 20  # ... unless they hold more tokens or numbers than this
_FAR = 16  # times as many on a GPU, where making few takes as long as making many ...
_FAR_STEPS = 1_024  # ... but not for more steps than this


def train(
    starts: Sequence[Start],
    *,
    waiting: Iterator[Start] = iter(()),  # noqa: B008 - nothing waits, whoever asks
    execution: Execution = Execution(),  # noqa: B008 - frozen
    device: str = "cpu",
    save_every_s: float = 60.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a pack: trials of equal shape, stacked. No trial's events depend on the others.

    When a trial has ended, the next one that is `waiting` takes its row. A trial that finishes is
    saved a last time before its outcome. Asked to stop, the pack saves every trial and returns
    without asking who is waiting; such a trial has no outcome and can go on later.

    Raises:
        ValueError: the trials cannot be stacked, or a saved state is of another trial.

    """
    if not starts:
        raise ValueError("expected trials of equal shape in a pack, got none")
    shape = starts[0].config.stacks_with()
    for start in starts:
        _check(start, shape)
    if execution.mode == "compiled":
        refuse_without_compiler(device)
    pack = Pack.of(starts, torch.device(device), execution)
    over = [number for number in pack.live if pack.rows[number].ended]
    if over:  # stopped before their outcome
        yield from pack.end(over)
        yield from _refill(pack, over, waiting, shape)
    saved_at = looked_at = time.monotonic()
    while pack.live:
        if pack.ahead is None or pack.ahead.is_used_up:
            make_examples(pack)
        pack.advance()
        now = time.monotonic()
        over = []
        if pack.quiet == 0:
            due = pack.due()
            yield from pack.report(due)
            over = [row for row in due if pack.rows[row].ended or pack.rows[row].broke >= 0]
            if over:
                yield from pack.saved([row for row in over if pack.rows[row].broke < 0])
                yield from pack.end(over)
            pack.listen()
        elif now - looked_at < _LOOK_EVERY_S:
            continue
        looked_at = now = time.monotonic()
        if should_stop():
            yield from pack.saved([row for row in pack.live if row not in over])
            return
        if over:
            yield from _refill(pack, over, waiting, shape)
        if now - saved_at > save_every_s:
            yield from pack.saved(pack.live)
            saved_at = time.monotonic()


def _check(start: Start, shape: str) -> None:
    """Refuse what cannot be a row of a pack of this shape."""
    if start.config.stacks_with() != shape:
        raise ValueError("expected trials of equal shape in a pack")
    if start.saved is not None and start.saved.key != start.config.key():
        raise ValueError(f"expected the state of trial {start.config.key()}, got {start.saved.key}")


def _refill(
    pack: Pack, free: Sequence[int], waiting: Iterator[Start], shape: str
) -> Generator[Event, None, None]:
    """Give each free row to the next trial that waits; those that nobody takes leave the pack."""
    joined: list[int] = []
    for number in free:
        while (start := next(waiting, None)) is not None:
            _check(start, shape)
            pack.take(number, start)
            if not pack.rows[number].ended:
                joined.append(number)
                break
            yield from pack.end([number])  # stopped before its outcome
    if joined and pack.ahead is not None:
        _show(pack, joined)
    pack.settle([number for number in free if number not in joined])


def make_examples(pack: Pack) -> None:
    """Make the examples of the next steps; of always as many where steps are captured."""
    configs = pack.configs
    repeats = same_batch(configs)
    empty, steps = len(pack.rows) - len(configs), 1
    if not repeats:
        steps = steps_ahead([*configs, *configs[:1] * empty], pack.device.type)
        steps = steps if pack.whole is not None else max(1, min(steps, pack.steps_left()))
    done = [pack.rows[number].done for number in pack.live]
    pack.show(training_batch(configs, done, steps, pack.device), steps, repeats=repeats)


def _show(pack: Pack, joined: Sequence[int]) -> None:
    """Make the examples of trials that have joined, for the steps whose examples the others have."""
    assert pack.ahead is not None
    configs = [pack.rows[number].config for number in joined]
    if pack.ahead.repeats and not same_batch(configs):
        pack.ahead = None
        return
    steps = 1 if pack.ahead.repeats else pack.ahead.steps - pack.ahead.used
    if steps:
        done = [pack.rows[number].done for number in joined]
        pack.show_joined(joined, training_batch(configs, done, steps, pack.device))


def same_batch(configs: Sequence[TrialConfig]) -> bool:
    """Whether every step shows every trial its whole stored set, so that it is made once."""
    return all(
        config.data.order == "cycle" and config.data.distinct == config.batch_size
        for config in configs
    )


def steps_ahead(configs: Sequence[TrialConfig], device: str = "cpu") -> int:
    """Steps whose examples are made at once for trials that do not all repeat one batch."""
    if same_batch(configs):
        return 1
    config = configs[0]
    examples = min(_AHEAD_EXAMPLES, _AHEAD_NUMBERS // config.training_shape().numbers)
    if device == "cpu":
        return max(1, examples // (config.batch_size * len(configs)))
    return max(1, min(_FAR_STEPS, _FAR * examples // (config.batch_size * len(configs))))
