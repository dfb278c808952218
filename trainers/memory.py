"""How much memory a pack takes while it trains, found without taking it."""

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from trainers.batches import Batch, NumberBatch, TokenBatch
from trainers.config import TrialConfig
from trainers.data.shape import NumberShape, Shape
from trainers.engine.execution import Execution, Mode
from trainers.engine.parts import add_gradient, parts_of
from trainers.evaluate import AT_ONCE
from trainers.forward import predicted
from trainers.loop import steps_ahead
from trainers.losses import counts_of, training_loss
from trainers.models.stack import Layout

_NUMBER_BYTES = 8  # of a token, and of a real number before it is rounded
_HOLES = 1.12  # a heap holds more than what is alive: 1.06 to 1.25 times, measured at six shapes
_MORE_HOLES = 1.4  # where layers are made again, 1.1 to 1.9 times, measured at nine
_LESS = 0.8  # of what ran out of memory: less than that is as good as the same again
_BUSY = 64  # examples of a part that keep a device busy
_COPIES = 3  # of the examples made ahead, while they are made


def training_bytes(
    configs: Sequence[TrialConfig],
    device: str = "cpu",
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> int:
    """Most memory that a pack has at one time: weights, moments, gradient, activations, examples.

    A step and a test are played with tensors that have a shape and no content, and what is alive is
    counted; of a batch in parts the largest part, and of several ranks the first, which has most of
    it. Python and torch themselves take some 300 MB more.
    """
    step, test = _step_bytes(configs, device, execution), _test_bytes(configs, device)
    shape = configs[0].training_shape()
    examples = steps_ahead(configs, device) * configs[0].batch_size * len(configs)
    return max(step, test) + _COPIES * examples * shape.numbers * _NUMBER_BYTES


def _step_bytes(configs: Sequence[TrialConfig], device: str, execution: Execution) -> int:
    """While it trains.

    Of a whole batch the gradient of all weights is one tensor, for which freed activations leave no
    room in one piece, so it is counted on top of them.
    """
    config = configs[0]
    layout = Layout(config.parameters())
    here = torch.autograd.set_multithreading_enabled(False)  # another thread's are not counted
    # tables have content
    with FakeTensorMode(allow_non_fake_inputs=True), _Alive() as alive, here:
        flat = torch.empty(len(configs), layout.row, device=device)
        moments = torch.empty(2, len(configs), layout.row, device=device)
        shown = config.training_shape(), config.batch_size
        batch = _batch(configs, *shown, torch.device(device))
        counts = counts_of(batch)
        if execution == Execution(execution.mode):
            flat.requires_grad_()
            loss = training_loss(config, layout.views(flat), batch, counts)
            gradient_at = alive.now + flat.nbytes
            (gradient,) = torch.autograd.grad(loss.sum(), flat)
        else:
            gradient_at = 0
            gradient = torch.zeros_like(flat)
            share = next(parts_of(batch, execution.ranks))
            part = next(parts_of(share, execution.parts))
            add_gradient(config, layout, flat, part, counts, gradient, execution)
        del moments, gradient
    holes = _MORE_HOLES if execution.recompute and device == "cpu" else _HOLES
    return round(holes * max(alive.peak, gradient_at))


def _test_bytes(configs: Sequence[TrialConfig], device: str) -> int:
    """While it is tested, on so many examples at once."""
    config, layout = configs[0], Layout(configs[0].parameters())
    evaluation = config.evaluation
    examples = min(AT_ONCE, max(evaluation.examples, evaluation.last_examples or 1))
    with FakeTensorMode(allow_non_fake_inputs=True), _Alive() as alive, torch.no_grad():
        flat = torch.empty(len(configs), layout.row, device=device)
        moments = torch.empty(2, len(configs), layout.row, device=device)
        batch = _batch(configs, config.shape(), examples, torch.device(device))
        predicted(config, layout.views(flat), batch)
        del moments
    return round(_HOLES * alive.peak)


def fitting_execution(
    configs: Sequence[TrialConfig], device: str, free_bytes: int, mode: Mode = "eager"
) -> Execution | None:
    """The fastest way to train a pack in so much free memory; None when there is none."""
    for execution in executions(configs[0].batch_size, mode):
        if training_bytes(configs, device, execution) <= free_bytes:
            return execution
    return None


def smaller_execution(
    config: TrialConfig, device: str, execution: Execution, *, same_words: bool
) -> Execution | None:
    """What to try next, once memory has run out for a trial alone; None when nothing is left.

    The fastest way that is predicted to take a fifth less; with `same_words`, for a trial that has
    written points already, only one that leaves its bits as they are.
    """
    shape = config.stacks_with(), device, execution, same_words
    if shape not in _smaller:
        _smaller[shape] = _next_smaller(config, device, execution, same_words=same_words)
    return _smaller[shape]


_smaller: dict[tuple[str, str, Execution, bool], Execution | None] = {}
"""The trials of a shape run out of memory one after the other, and each answer takes seconds."""


def _next_smaller(
    config: TrialConfig, device: str, execution: Execution, *, same_words: bool
) -> Execution | None:
    most = _LESS * training_bytes([config], device, execution)
    if execution.ranks > 1 or _test_bytes([config], device) > most:  # no step is to blame
        return None
    for each in executions(config.batch_size, execution.mode):
        fits_words = not same_words or each.words == execution.words
        if fits_words and training_bytes([config], device, each) <= most:
            return each
    return None


def executions(batch_size: int, mode: Mode = "eager") -> Iterator[Execution]:
    """Ways to train in ever less memory, the fastest first.

    A part costs nothing while it is large enough to keep a device busy; then making activations again
    costs a third of the time; smaller parts come last.
    """
    halves = [2**power for power in range(batch_size.bit_length()) if 2**power <= batch_size]
    yield from (Execution(mode, parts) for parts in halves if parts * _BUSY <= batch_size)
    yield from (Execution(mode, parts, recompute=True) for parts in halves)


def _batch(
    configs: Sequence[TrialConfig], shape: Shape, examples: int, device: torch.device
) -> Batch:
    """A batch of so many examples of each trial."""
    rows = len(configs), examples
    if isinstance(shape, NumberShape):
        inputs = torch.empty(*rows, shape.inputs, device=device)
        return NumberBatch(inputs, torch.empty(*rows, shape.outputs, device=device))
    question, answer = (
        torch.empty(*rows, length, dtype=torch.int64, device=device)
        for length in (shape.question, shape.answer)
    )
    auxiliary = None
    if configs[0].auxiliary is not None:
        auxiliary = torch.empty(*rows, shape.answer, device=device)
    return TokenBatch(question, answer, auxiliary)


class _Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in _pytree.tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        name, size = storage._cdata, storage.nbytes()
        if name in self._known:  # a view of what is counted already
            return
        self._known.add(name)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, name, size)

    def _forget(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.now -= size
