"""The loss of every trial of a pack on one batch, and its gradient."""

import torch

from trainers.batches import Batch
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.parts import Flat, Loss, add_gradient, parts_of
from trainers.engine.ranks import shared_gradient
from trainers.engine.trimming import trimmed
from trainers.losses import counts_of, training_loss
from trainers.models.stack import Layout


def gradient_of(
    config: TrialConfig,
    layout: Layout,
    flat: Flat,
    batch: Batch,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> tuple[Loss, Flat]:
    """The loss of each trial and the gradient of its own loss alone; `config` is that of any of them.

    Taken in parts, or by several ranks, the losses of the shares add up to that of the whole batch.

    Raises:
        RankLost: another rank has died.
    """
    stacks = trimmed(config.model, batch)
    if len(stacks) == 1:
        return _gradient(config, layout, flat, stacks[0].batch, execution)
    loss, gradient = flat.new_empty(flat.shape[0]), torch.empty_like(flat)
    for stack in stacks:
        own = flat[stack.rows]
        loss[stack.rows], gradient[stack.rows] = _gradient(
            config, layout, own, stack.batch, execution
        )
    return loss, gradient


def _gradient(
    config: TrialConfig, layout: Layout, flat: Flat, batch: Batch, execution: Execution
) -> tuple[Loss, Flat]:
    """The same of trials whose lines are equally long."""
    if execution.ranks > 1:
        return shared_gradient(config, layout, flat, batch, execution)
    counts = counts_of(batch)
    if execution.parts == 1 and not execution.recompute:
        flat = flat.detach().requires_grad_()
        loss = training_loss(config, layout.views(flat), batch, counts)
        (gradient,) = torch.autograd.grad(loss.sum(), flat)
        return loss.detach(), gradient
    loss, gradient = flat.new_zeros(flat.shape[0]), torch.zeros_like(flat)
    for part in parts_of(batch, execution.parts):
        loss += add_gradient(config, layout, flat, part, counts, gradient, execution)
    return loss, gradient
