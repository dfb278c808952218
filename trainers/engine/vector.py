"""The update of all trials of a pack at once, in kernels whose number does not depend on how many.

Numbers of a trial are columns of small tensors that lie on the device; those that change from step to
step are made several steps ahead. So a step copies nothing, waits for nothing, and can be captured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.models.stack import Group, Layout
from trainers.optim import AdamFields, AdamW, AdamWUnitRows, AnyOptimizer, Moments, Sgd
from trainers.schedule import learning_rate

Column = Float[Tensor, "trial 1"]
Rows = Float[Tensor, "trial part"]

RATE, SPREAD, DECAY = range(3)
"""Of a step of a trial: its rate, with Adam over the first moment's bias; one over the root of the
second moment's bias; and the share by which weights fall, or by which norms are pulled to one."""


@dataclass(frozen=True)
class Constants:
    """What of each trial's optimizer is the same at every step."""

    new_first: Column  # 1 - beta1: how much of a mean is new; in float32 beta2 itself is too coarse
    new_second: Column
    epsilon: Column
    momentum: Column
    clip: Column  # inf: none
    decay: Column  # with SGD, of the gradient
    nesterov: Column  # 1 or 0

    def load(self, other: "Constants") -> None:
        """Take over other numbers in place, as what was captured reads from here."""
        for field in fields(self):
            getattr(self, field.name).copy_(getattr(other, field.name))


@dataclass(frozen=True)
class Kernels:
    """Which kernels a pack needs: one that no trial needs is left out."""

    clips: bool
    decays: bool
    nesterov: bool


def kernels_of(optimizers: Sequence[AnyOptimizer]) -> Kernels:
    """What at least one of these trials needs."""
    return Kernels(
        clips=any(each.clip is not None for each in optimizers),
        decays=any(isinstance(each, AdamW | Sgd) and each.weight_decay > 0 for each in optimizers),
        nesterov=any(isinstance(each, Sgd) and each.nesterov for each in optimizers),
    )


def constants_of(optimizers: Sequence[AnyOptimizer], device: torch.device) -> Constants:
    """The numbers of each trial, on the device."""
    each = [_constants(optimizer) for optimizer in optimizers]
    columns = [torch.tensor(column)[:, None].to(device) for column in zip(*each, strict=True)]
    return Constants(*columns)


def _constants(optimizer: AnyOptimizer) -> tuple[float, ...]:
    clip = math.inf if optimizer.clip is None else optimizer.clip
    if isinstance(optimizer, Sgd):
        decay, nesterov = optimizer.weight_decay, float(optimizer.nesterov)
        return 1.0, 1.0, 0.0, optimizer.momentum, clip, decay, nesterov
    return 1 - optimizer.beta1, 1 - optimizer.beta2, optimizer.epsilon, 0.0, clip, 0.0, 0.0


def numbers_of(
    optimizer: AnyOptimizer, done: int, planned: int, steps: int
) -> Float[Tensor, "step number"]:
    """Rate, spread and decay at each of the next steps of a trial."""
    found: list[tuple[float, float, float]] = []
    for step in range(done + 1, done + steps + 1):
        rate = learning_rate(optimizer, min(step, planned), planned)
        if isinstance(optimizer, AdamFields):
            decay = optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0
            pull = optimizer.pull if isinstance(optimizer, AdamWUnitRows) else 0.0
            spread = 1 / math.sqrt(1 - optimizer.beta2**step)
            found.append((rate / (1 - optimizer.beta1**step), spread, rate * (decay or pull)))
        else:
            found.append((rate, 1.0, 0.0))
    return torch.tensor(found, dtype=torch.float32).view(steps, 3)


@dataclass(frozen=True)
class Vector:
    """Updates the weights of a pack in place; every trial has an optimizer of the same kind."""

    layout: Layout
    kind: type[AnyOptimizer]
    flat: Float[Tensor, "trial row"]
    moments: Moments
    constants: Constants
    kernels: Kernels

    @classmethod
    def of(
        cls,
        layout: Layout,
        flat: Float[Tensor, "trial row"],
        moments: Moments,
        optimizers: Sequence[AnyOptimizer],
    ) -> "Vector":
        """For trials with these optimizers."""
        constants = constants_of(optimizers, flat.device)
        kernels = kernels_of(optimizers)
        return cls(layout, type(optimizers[0]), flat.detach(), moments, constants, kernels)

    def step(
        self, gradient: Float[Tensor, "trial row"], numbers: Float[Tensor, "trial number"]
    ) -> None:
        """One update of every trial. The gradient is used up."""
        rate, spread, decay = (numbers[:, place, None] for place in (RATE, SPREAD, DECAY))
        if self.kernels.clips:
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient.div_(norm.div_(self.constants.clip).clamp_(min=1.0))
        if self.kind is AdamWUnitRows:
            for matrix in self.layout.decaying(self.flat):
                if matrix.ndim > 2:
                    _pull(matrix.flatten(1, -2), decay[..., None])
        for group in self.layout.groups:
            here = slice(group.first, group.first + group.size)
            weights, slope = self.flat[:, here], gradient[:, here]
            if self.kind is Sgd:
                if group.sgd_rate:
                    self._sgd(group, weights, slope, self.moments.first[:, here], rate)
            elif group.rate:
                if self.kernels.decays and group.decays:
                    weights.mul_(1 - decay)  # that of the trial, whatever the group's rate
                first, second = self.moments.first[:, here], self.moments.second[:, here]
                self._adam(weights, slope, first, second, rate * group.rate, spread)

    def _adam(
        self, weights: Rows, slope: Rows, first: Rows, second: Rows, rate: Column, spread: Column
    ) -> None:
        first.lerp_(slope, self.constants.new_first)
        second.lerp_(slope.square_(), self.constants.new_second)
        root = torch.addcmul(self.constants.epsilon, second.sqrt(), spread)
        weights.addcmul_(torch.div(first, root, out=slope), rate, value=-1)

    def _sgd(self, group: Group, weights: Rows, slope: Rows, velocity: Rows, rate: Column) -> None:
        if self.kernels.decays and group.decays:
            slope.addcmul_(weights, self.constants.decay / group.sgd_rate)
        velocity.mul_(self.constants.momentum).add_(slope)
        moved = velocity
        if self.kernels.nesterov:  # gradient + momentum * velocity, for the trials that want it
            ahead = torch.addcmul(slope, velocity, self.constants.momentum)
            moved = torch.where(self.constants.nesterov > 0, ahead, velocity)
        weights.addcmul_(moved, rate * group.sgd_rate, value=-1)


def _pull(matrix: Float[Tensor, "trial row column"], strength: Float[Tensor, "trial 1 1"]) -> None:
    """Move the norm n of each row to n + strength (1 - n); a row of zeros stays."""
    norm = torch.linalg.vector_norm(matrix, dim=2, keepdim=True).clamp_(min=1e-30)
    matrix.mul_(1 + strength * (1 / norm - 1))
