"""The loss of every trial of a pack on one batch, and its gradient."""

from collections.abc import Callable

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

    def of_stack(own: Flat, part: Batch) -> tuple[Loss, Flat]:
        return stack_gradient(config, layout, own, part, execution)

    return gradient_by_stacks(config, flat, batch, of_stack)


def gradient_by_stacks(
    config: TrialConfig,
    flat: Flat,
    batch: Batch,
    of_stack: Callable[[Flat, Batch], tuple[Loss, Flat]],
) -> tuple[Loss, Flat]:
    """The same, put together from trials whose lines are equally long."""
    stacks = trimmed(config.model, batch)
    if len(stacks) == 1:
        return of_stack(flat, stacks[0].batch)
    loss, gradient = flat.new_empty(flat.shape[0]), torch.empty_like(flat)
    for stack in stacks:
        own = flat[stack.rows]
        loss[stack.rows], gradient[stack.rows] = of_stack(own, stack.batch)
    return loss, gradient


def stack_gradient(
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
