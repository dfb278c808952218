"""Who computes a pack's losses and their gradient: a compiled program, traced kernels, or autograd."""

import time
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from trainers.batches import Batch
from trainers.config import TrialConfig
from trainers.engine.ahead import batch_of, tensors_of
from trainers.engine.compiled import Program, compiled
from trainers.engine.execution import Execution
from trainers.engine.step import gradient_by_stacks, gradient_of, stack_gradient
from trainers.engine.traced import LossAndGradient, Traced, traced
from trainers.models.stack import Layout, can_look

_OFTEN = 100  # steps that a process takes before it traces them: about as many repay the trace
_MOST = 64  # that are kept; each takes up to a few MB

_taken: Counter[Any] = Counter()
"""Steps of this process that were not traced, by the shapes of their tensors."""

_traced: OrderedDict[Any, Traced | None] = OrderedDict()
"""Those that were, or could not be; the one that was used last comes last."""


@dataclass
class Gradients:
    """What gives the losses of a pack and their gradient in the way that its execution asks for."""

    config: TrialConfig
    layout: Layout
    execution: Execution
    program: Program | None = None  # for the number of rows that the pack has
    patience: int = _OFTEN
    tracing_s: float = 0.0  # of this thread, spent on traces
    _viewed: Tensor | None = None  # the buffer that these are views of
    _views: dict[Traced, tuple[Tensor, ...]] = field(
        default_factory=dict[Traced, tuple[Tensor, ...]]
    )

    def prepare(self, flat: Float[Tensor, "trial row"], batch: Batch) -> None:
        """Compile what is to be compiled, for tensors of these shapes."""
        if self.execution.mode == "compiled" and self.program is None:
            self.program = compiled(self.config, self.layout, flat, batch, self.execution)

    def __call__(self, flat: Float[Tensor, "trial row"], batch: Batch) -> LossAndGradient:
        """The loss of each trial and the gradient of its own loss alone."""
        if self.execution.mode == "compiled":
            self.prepare(flat, batch)
            assert self.program is not None
            return self.program(flat, batch)
        if self.execution != Execution() or not can_look(flat):
            return gradient_of(self.config, self.layout, flat, batch, self.execution)

        def of_stack(own: Tensor, part: Batch) -> LossAndGradient:
            found = self._found(own, part)
            if found is not None:
                views = self._views_of(found, own) if own is flat else found.views(own)
                with suppress(IndexError):  # a place beyond the table that was enough for the trace
                    return found(views, tensors_of(part))
            return stack_gradient(self.config, self.layout, own, part, self.execution)

        return gradient_by_stacks(self.config, flat, batch, of_stack)

    def _found(self, flat: Tensor, batch: Batch) -> Traced | None:
        """The kernels of a step of these shapes, once it is taken often."""
        tensors = tensors_of(batch)
        key = (self._stacks_with, flat.shape[0], *(each.shape for each in tensors))
        if key in _traced:
            _traced.move_to_end(key)
            return _traced[key]
        _taken[key] += 1
        if _taken[key] <= self.patience:
            return None

        def step(flat: Tensor, *examples: Tensor) -> LossAndGradient:
            made = batch_of(examples, batch)
            return stack_gradient(self.config, self.layout, flat, made, self.execution)

        began = time.thread_time()
        found = _traced[key] = traced(step, flat, tensors)
        self.tracing_s += time.thread_time() - began
        del _taken[key]
        if len(_traced) > _MOST:
            _traced.popitem(last=False)
        return found

    def _views_of(self, found: Traced, flat: Tensor) -> tuple[Tensor, ...]:
        """The weights as views of the pack's own buffer, which are kept as long as it is the same."""
        if self._viewed is not flat:
            self._viewed = flat
            self._views.clear()
        if found not in self._views:
            self._views[found] = found.views(flat)
        return self._views[found]

    @cached_property
    def _stacks_with(self) -> str:
        return self.config.stacks_with()
