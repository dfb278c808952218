"""A whole step of a pack as one function of what lies on the device, captured once where it can be.

The examples of this step are picked by a counter that lies on the device too, so that the host says
nothing but "again": nothing is copied, and nothing waits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainers.batches import Batch
from trainers.engine.ahead import Ahead, batch_of, examples_of, tensors_of
from trainers.engine.vector import Vector, constants_of, kernels_of, numbers_of
from trainers.models.stack import Layout
from trainers.models.tables import all_kept
from trainers.optim import AnyOptimizer, Moments

_REPEATED = 256  # steps of which rates are made at once, where all show the same examples
_WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and make their rooms

Differentiate = Callable[[Tensor, Batch], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Going:
    """A trial as its optimizer sees it; where a row is empty, there is none."""

    optimizer: AnyOptimizer
    done: int
    planned: int


@dataclass
class Whole:
    """A step of all rows at once; what it reads and writes stays where it is as long as it lives."""

    vector: Vector
    differentiate: Differentiate
    loss_sum: Float[Tensor, " trial"]
    captures: bool
    turn: Int[Tensor, " 1"]  # which of the steps ahead is next
    examples: list[Tensor] = field(default_factory=list[Tensor])
    numbers: Float[Tensor, "step trial number"] | None = None
    like: Batch | None = None
    steps: int = 0  # whose examples there are
    left: int = 0  # whose rates there are
    graph: "torch.cuda.CUDAGraph | None" = None
    tables: list[Tensor] = field(default_factory=list[Tensor])  # from which the graph may read
    capture_s: float = 0.0

    @classmethod
    def of(
        cls,
        layout: Layout,
        flat: Float[Tensor, "trial row"],
        moments: Moments,
        loss_sum: Float[Tensor, " trial"],
        optimizers: Sequence[AnyOptimizer],
        differentiate: Differentiate,
        *,
        captures: bool,
    ) -> "Whole":
        """For trials with these optimizers; those of empty rows count for nothing."""
        vector = Vector.of(layout, flat, moments, optimizers)
        turn = torch.zeros(1, dtype=torch.int64, device=flat.device)
        return cls(vector, differentiate, loss_sum, captures and flat.is_cuda, turn)

    def take(self, optimizers: Sequence[AnyOptimizer]) -> None:
        """Other trials have taken some of the rows."""
        kernels = kernels_of(optimizers)
        if kernels == self.vector.kernels:
            self.vector.constants.load(constants_of(optimizers, self.turn.device))
        else:
            vector = self.vector
            self.vector = Vector.of(vector.layout, vector.flat, vector.moments, optimizers)
            self.graph = None

    def load(self, ahead: Ahead, trials: Sequence[Going | None]) -> None:
        """Take over the examples that were made, and the rates of the steps that they are for."""
        tensors = tensors_of(ahead.made)
        if [each.shape for each in self.examples] != [each.shape for each in tensors]:
            self.examples = [torch.empty_like(each).contiguous() for each in tensors]
            self.like, self.steps, self.graph = ahead.made, ahead.steps, None
            window = _REPEATED if ahead.repeats else ahead.steps
            self.numbers = torch.zeros(window, len(trials), 3, device=self.turn.device)
        for mine, new in zip(self.examples, tensors, strict=True):
            mine.copy_(new)
        self.plan(trials, 0 if ahead.repeats else ahead.used)

    def plan(self, trials: Sequence[Going | None], place: int) -> None:
        """Make the rates of the steps from this place on; an empty row stands still."""
        assert self.numbers is not None  # `load` comes first
        self.left = self.numbers.shape[0] - place
        made = torch.zeros(self.left, len(trials), 3)
        for row, trial in enumerate(trials):
            if trial is not None:
                own = numbers_of(trial.optimizer, trial.done, trial.planned, self.left)
                made[:, row] = own
        if self.numbers.is_cuda:  # from pinned memory a copy does not wait
            made = made.pin_memory()
        self.numbers[place:].copy_(made, non_blocking=True)
        self.turn.fill_(place)

    def step(self) -> None:
        """One update of every trial on the next examples."""
        if not self.captures:
            self._step()
        else:
            if self.graph is None:
                self._capture()
            assert self.graph is not None
            self.graph.replay()
        self.left -= 1

    def _step(self) -> None:
        assert self.like is not None
        assert self.numbers is not None
        size = examples_of(self.like) // self.steps
        column = torch.arange(size, device=self.turn.device) + self.turn % self.steps * size
        batch = batch_of([each.index_select(1, column) for each in self.examples], self.like)
        loss, gradient = self.differentiate(self.vector.flat, batch)
        self.vector.step(gradient, self.numbers.index_select(0, self.turn)[0])
        self.loss_sum.add_(loss)
        self.turn.add_(1)

    def _capture(self) -> None:
        """Write down all kernels of a step; what the steps of the warm-up have changed is put back.

        As torch's notes on CUDA graphs ask for, the warm-up runs on a stream of its own.
        """
        began = time.perf_counter()
        vector = self.vector
        state = [vector.flat, vector.moments.first, vector.moments.second, self.loss_sum, self.turn]
        before = [each.clone() for each in state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                self._step()
                self.turn.copy_(before[-1])  # the last one ahead may be the next one
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        for each, old in zip(state, before, strict=True):
            each.copy_(old)
        torch.cuda.synchronize()
        self.tables = all_kept()
        self.graph, self.capture_s = graph, time.perf_counter() - began
