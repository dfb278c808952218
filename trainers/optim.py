"""Optimizers with one learning rate, decay, clipping and schedule per trial."""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from trainers.models.stack import Layout
from trainers.schedule import Scheduled, learning_rate


class OptimizerFields(Scheduled, ABC):
    """What all optimizers have in common."""

    clip: float | None = Field(default=None, gt=0)  # largest gradient norm of a trial


class AdamFields(OptimizerFields, ABC):
    """What the optimizers of Adam's family have in common."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)


class Adam(AdamFields):
    """Adam without weight decay.

    Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 1.
    """

    kind: Literal["adam"] = "adam"


class AdamW(AdamFields):
    """Adam with decoupled weight decay, scaled by the learning rate.

    Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2.
    """

    kind: Literal["adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0, le=1e3)


class AdamWUnitRows(AdamFields):
    """Adam that pulls each row of the matrices that decay towards norm one.

    W_i <- W_i + lr pull W_i (1 / |W_i| - 1) before each update of Adam: the negative weight decay
    of the source, which writes -pull. A row runs along the last dimension; vectors have no rows.
    Source: Liu, Liu and Gore 2025, arXiv:2505.10465.
    """

    kind: Literal["adamw_unit_rows"] = "adamw_unit_rows"
    pull: float = Field(default=1.0, gt=0, le=1e3)


class Sgd(OptimizerFields):
    """Stochastic gradient descent with momentum, and weight decay as a term of the gradient.

    Source: Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13, in the form of
    torch.optim.SGD: the learning rate multiplies the velocity and not the gradient.
    """

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=0.0, ge=0, le=1e3)

    @model_validator(mode="after")
    def _has_momentum(self) -> "Sgd":
        if self.nesterov and self.momentum == 0:
            raise ValueError("expected a momentum above 0 with nesterov, got 0")
        return self


AnyOptimizer = Adam | AdamW | AdamWUnitRows | Sgd
Optimizer = Annotated[AnyOptimizer, Field(discriminator="kind")]


@dataclass
class Moments:
    """Running means of the gradient and of its square, updated in place.

    With SGD `first` is the velocity, and `second` stays zero.
    """

    first: Float[Tensor, "trial row"]
    second: Float[Tensor, "trial row"]


@dataclass(frozen=True)
class Part:
    """The weights of one trial that share a rate and whether they decay; views into the pack."""

    first: int  # where it lies in the trial's row
    size: int
    weights: Float[Tensor, " part"]
    mean: Float[Tensor, " part"]
    square: Float[Tensor, " part"]
    rate: float  # times the trial's learning rate
    decays: bool


@dataclass(frozen=True)
class Updater:
    """Updates the weights of a pack in place, each trial by its own rule.

    A trial is one call of a fused kernel, with numbers in place of tensors: nothing waits for the
    device, and no trial sees how many others there are.
    """

    optimizers: tuple[AnyOptimizer, ...]
    planned: tuple[int, ...]  # steps of the whole budget
    parts: tuple[tuple[Part, ...], ...]  # of each trial
    matrices: tuple[tuple[Float[Tensor, "_ _"], ...], ...]  # those of each trial that decay
    count: Float[Tensor, " trial"]  # updates done, on the device
    live: tuple[int, ...]  # the rows that hold a trial; the others stay as they are

    @classmethod
    def of(
        cls,
        layout: Layout,
        flat: Float[Tensor, "trial row"],
        moments: Moments,
        optimizers: Sequence[AnyOptimizer],
        done: Sequence[int],
        planned: Sequence[int],
        live: Sequence[int] | None = None,
    ) -> "Updater":
        """For trials that have `done` so many updates of those `planned`; not all rows may be `live`."""
        flat = flat.detach()
        pulls = any(isinstance(optimizer, AdamWUnitRows) for optimizer in optimizers)
        matrices = [view for view in layout.decaying(flat) if view.ndim > 2] if pulls else []
        return cls(
            optimizers=tuple(optimizers),
            planned=tuple(planned),
            parts=tuple(
                _parts(layout, weights, mean, square, optimizer)
                for weights, mean, square, optimizer in zip(
                    flat, moments.first, moments.second, optimizers, strict=True
                )
            ),
            matrices=tuple(
                tuple(matrix[trial].flatten(0, -2) for matrix in matrices)
                for trial in range(len(optimizers))
            ),
            # float32 as the kernel asks; it stops counting at 2^24, where no beta is felt
            count=torch.tensor(done, dtype=torch.float32, device=flat.device),
            live=tuple(range(len(optimizers)) if live is None else live),
        )

    def step(self, gradient: Float[Tensor, "trial row"], done: Sequence[int]) -> None:
        """One update of every trial; `done` counts those before it. The gradient is used up."""
        self.count.add_(1.0)
        rows, counts = gradient.unbind(), self.count.unbind()
        for trial in self.live:
            row, count, optimizer = rows[trial], counts[trial], self.optimizers[trial]
            rate = learning_rate(optimizer, done[trial] + 1, self.planned[trial])
            shrink = None
            if optimizer.clip is not None:
                # the kernel divides by it; a norm within the bound divides by exactly one
                shrink = torch.linalg.vector_norm(row).div_(optimizer.clip).clamp_(min=1.0)
            if isinstance(optimizer, AdamWUnitRows):
                for matrix in self.matrices[trial]:
                    _pull(matrix, rate * optimizer.pull)
            for part in self.parts[trial]:
                if part.rate == 0:  # never trained
                    continue
                piece = row[part.first : part.first + part.size]
                if isinstance(optimizer, Sgd):
                    _sgd(optimizer, part, piece, rate, shrink)
                else:
                    _adam(optimizer, part, piece, rate, shrink, count)


def _parts(
    layout: Layout,
    weights: Float[Tensor, " row"],
    mean: Float[Tensor, " row"],
    square: Float[Tensor, " row"],
    optimizer: AnyOptimizer,
) -> tuple[Part, ...]:
    parts = []
    for group in layout.groups:
        here = slice(group.first, group.first + group.size)
        rate = group.sgd_rate if isinstance(optimizer, Sgd) else group.rate
        views = weights[here], mean[here], square[here]
        parts.append(Part(group.first, group.size, *views, rate, group.decays))
    return tuple(parts)


def _adam(
    optimizer: AdamFields,
    part: Part,
    gradient: Float[Tensor, " part"],
    rate: float,
    shrink: Float[Tensor, ""] | None,
    count: Float[Tensor, ""],
) -> None:
    decay = optimizer.weight_decay if isinstance(optimizer, AdamW) and part.decays else 0.0
    torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage] (torch is pinned)
        [part.weights],
        [gradient],
        [part.mean],
        [part.square],
        [],
        [count],
        lr=rate * part.rate,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        weight_decay=decay / part.rate,  # lr * decay is that of the trial, whatever the part's rate
        eps=optimizer.epsilon,
        amsgrad=False,
        maximize=False,
        grad_scale=shrink,
    )


def _sgd(
    optimizer: Sgd,
    part: Part,
    gradient: Float[Tensor, " part"],
    rate: float,
    shrink: Float[Tensor, ""] | None,
) -> None:
    torch._fused_sgd_(  # pyright: ignore[reportPrivateImportUsage]
        [part.weights],
        [gradient],
        [part.mean] if optimizer.momentum else [],
        lr=rate * part.rate,
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        weight_decay=optimizer.weight_decay / part.rate if part.decays else 0.0,
        dampening=0.0,
        maximize=False,
        is_first_step=False,  # the velocity starts at zero
        grad_scale=shrink,
    )


def _pull(matrix: Float[Tensor, "row column"], strength: float) -> None:
    """Move the norm n of each row to n + strength (1 - n); a row of zeros stays."""
    norm = torch.linalg.vector_norm(matrix, dim=1, keepdim=True).clamp_(min=1e-30)
    matrix.mul_(1 + strength * (1 / norm - 1))
