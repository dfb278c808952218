"""What training makes smaller: cross-entropy or squared error, and the auxiliary loss."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainers.batches import Batch, NumberBatch, TokenBatch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD
from trainers.forward import predicted_numbers, states_and_logits
from trainers.models.stack import Weights, linear_map


@dataclass(frozen=True)
class Counts:
    """What the sums of a batch's losses are divided by."""

    scored: Int[Tensor, " trial"] | int  # tokens of the answers, or numbers
    auxiliary: Int[Tensor, " trial"] | None = None  # places that have a target, at least 1


def counts_of(batch: Batch) -> Counts:
    """How much counts in each trial of a batch; of tokens each once, and padding nothing."""
    if isinstance(batch, NumberBatch):
        return Counts(batch.targets[0].numel())
    scored = (batch.answer != PAD).sum(dim=(1, 2))
    if batch.auxiliary is None:
        return Counts(scored)
    return Counts(scored, (~batch.auxiliary.isnan()).sum(dim=(1, 2)).clamp(min=1))


def training_loss(
    config: TrialConfig, weights: Weights, batch: Batch, counts: Counts | None = None
) -> Float[Tensor, " trial"]:
    """The loss of each trial: nats of an answer's token, or a mean squared error.

    With the counts of a whole batch, the losses of its parts add up to the loss of the whole.
    """
    counts = counts_of(batch) if counts is None else counts
    if isinstance(batch, NumberBatch):
        errors = predicted_numbers(config, weights, batch.inputs) - batch.targets
        return errors.square().sum(dim=(1, 2)) / counts.scored
    states, logits = states_and_logits(config, weights, batch)
    loss = token_losses(config, logits, batch.answer).sum(dim=1) / counts.scored
    if config.auxiliary is None or batch.auxiliary is None:
        return loss
    assert counts.auxiliary is not None  # they are those of a batch with targets
    errors = _auxiliary(weights, states, batch.auxiliary) / counts.auxiliary
    return loss + config.auxiliary.weight * errors


def token_losses(
    config: TrialConfig,
    logits: Float[Tensor, "trial batch answer vocabulary"],
    answer: Int[Tensor, "trial batch answer"],
) -> Float[Tensor, "trial tokens"]:
    """Of every token of the answers, 0 for padding; each trial's tokens in one row.

    The squared error is the mean over the vocabulary, against 1 for the token and 0 for all others.
    """
    if config.loss == "squared_error":
        wanted = F.one_hot(answer, logits.shape[-1])
        each = (logits - wanted).square().mean(dim=-1) * (answer != PAD)
        return each.flatten(1)
    each = F.cross_entropy(
        logits.flatten(0, 2), answer.flatten(), ignore_index=PAD, reduction="none"
    )
    return each.view(logits.shape[0], -1)


def exact(
    logits: Float[Tensor, "trial batch answer vocabulary"], batch: TokenBatch
) -> Bool[Tensor, "trial batch"]:
    """Whether every token of an answer is the most likely one, given the true ones before it."""
    return ((logits.argmax(dim=-1) == batch.answer) | (batch.answer == PAD)).all(dim=-1)


def _auxiliary(
    weights: Weights,
    states: Float[Tensor, "trial batch answer state"],
    targets: Float[Tensor, "trial batch answer"],
) -> Float[Tensor, " trial"]:
    """Sum of the squared errors of a linear head over the places that have a target."""
    predicted = linear_map(weights["auxiliary.weight"], states)[..., 0]
    wanted = ~targets.isnan()
    errors = torch.where(wanted, predicted - targets.nan_to_num(), 0.0).square()
    return errors.sum(dim=(1, 2))
