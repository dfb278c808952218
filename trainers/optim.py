"""Optimizers with one learning rate, decay, clipping and schedule per trial."""

import math
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from trainers.schema import Frozen


class AdamFields(Frozen, ABC):
    """What the two optimizers have in common; a schedule ends with the trial's budget."""

    lr: float = Field(default=1e-3, gt=0, le=1e3)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    warmup_steps: int = Field(default=0, ge=0, le=10**9)
    schedule: Literal["constant", "cosine"] = "constant"
    final_share: float = Field(default=0.0, ge=0, le=1)  # of lr, at the end of a cosine
    clip: float | None = Field(default=None, gt=0)  # largest gradient norm of a trial


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


Optimizer = Annotated[Adam | AdamW, Field(discriminator="kind")]


def learning_rate(optimizer: Adam | AdamW, step: int, steps: int) -> float:
    """The rate of update `step`, counted from 1 to `steps`: linear warm-up, then the schedule."""
    if step <= optimizer.warmup_steps:
        return optimizer.lr * step / optimizer.warmup_steps
    if optimizer.schedule == "constant":
        return optimizer.lr
    done = (step - optimizer.warmup_steps) / max(steps - optimizer.warmup_steps, 1)
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return optimizer.lr * (optimizer.final_share + (1 - optimizer.final_share) * cosine)


@dataclass
class Moments:
    """Running means of the gradient and of its square, updated in place."""

    first: Float[Tensor, "trial row"]
    second: Float[Tensor, "trial row"]


def update(
    flat: Float[Tensor, "trial row"],
    gradient: Float[Tensor, "trial row"],
    moments: Moments,
    optimizers: Sequence[Adam | AdamW],
    steps_done: Sequence[int],
    steps_planned: Sequence[int],
) -> Float[Tensor, " trial"]:
    """Update every trial by its own rule; the norm of each gradient before clipping.

    `steps_done` counts the updates before this one.
    """

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32).to(flat.device, non_blocking=True)[:, None]

    norm = torch.linalg.vector_norm(gradient, dim=1)
    clip = column([math.inf if o.clip is None else o.clip for o in optimizers])
    gradient = gradient * (clip / norm.clamp(min=1e-30)[:, None]).clamp(max=1.0)
    now = [done + 1 for done in steps_done]
    rates = [learning_rate(*each) for each in zip(optimizers, now, steps_planned, strict=True)]
    # 1 - beta in float64: from a float32 beta of 0.999 it would be off by 5e-5 of itself
    moments.first.lerp_(gradient, column([1 - o.beta1 for o in optimizers]))
    moments.second.lerp_(gradient.square_(), column([1 - o.beta2 for o in optimizers]))
    if any(isinstance(o, AdamW) for o in optimizers):
        decays = [o.weight_decay if isinstance(o, AdamW) else 0.0 for o in optimizers]
        flat.mul_(column([1 - rate * decay for rate, decay in zip(rates, decays, strict=True)]))
    # both bias corrections as scalars of a trial: m / (1 - beta1^t) and sqrt(v / (1 - beta2^t))
    first_scale = column(
        [-rate / (1 - o.beta1**t) for o, t, rate in zip(optimizers, now, rates, strict=True)]
    )
    second_scale = column([(1 - o.beta2**t) ** -0.5 for o, t in zip(optimizers, now, strict=True)])
    epsilon = column([o.epsilon for o in optimizers])
    deviation = moments.second.sqrt().mul_(second_scale).add_(epsilon)
    flat.addcdiv_(moments.first * first_scale, deviation)
    return norm
