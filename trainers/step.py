"""The loss of every trial of a pack on one batch, and its gradient."""

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.batches import Batch
from trainers.config import TrialConfig
from trainers.losses import training_loss
from trainers.models.stack import Layout


def gradient_of(
    config: TrialConfig, layout: Layout, flat: Float[Tensor, "trial row"], batch: Batch
) -> tuple[Float[Tensor, " trial"], Float[Tensor, "trial row"]]:
    """The loss of each trial and the gradient of its own loss alone; `config` is that of any of them."""
    flat = flat.detach().requires_grad_()
    loss = training_loss(config, layout.views(flat), batch)
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    return loss.detach(), gradient
