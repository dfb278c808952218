"""What a model makes of a batch, in the arithmetic that its trial asks for; what comes out is float32."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainers.batches import Batch, TokenBatch
from trainers.config import TrialConfig
from trainers.models.model import NumberModel, TokenModel
from trainers.models.recompute import like
from trainers.models.stack import Weights

States = Float[Tensor, "trial batch answer state"]
Logits = Float[Tensor, "trial batch answer vocabulary"]


def arithmetic(config: TrialConfig, device: torch.device) -> AbstractContextManager[object]:
    """Inside, products are made in bfloat16 where the trial asks for it; sums stay float32.

    The weights are float32 and cast for each product, so their gradients are float32 as well.
    """
    if config.precision == "float32":
        return nullcontext()
    # nothing to keep: weights are views of one buffer, whose content changes with every step
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def predicted(config: TrialConfig, weights: Weights, batch: Batch) -> Tensor:
    """The logits of every token of the answers, or the numbers."""
    if isinstance(batch, TokenBatch):
        return states_and_logits(config, weights, batch)[1]
    return predicted_numbers(config, weights, batch.inputs)


def predicted_numbers(
    config: TrialConfig, weights: Weights, inputs: Float[Tensor, "trial batch inputs"]
) -> Float[Tensor, "trial batch outputs"]:
    """What a model of numbers makes of its inputs."""
    model = config.model
    assert isinstance(model, NumberModel)  # TrialConfig pairs model and task
    with arithmetic(config, inputs.device):
        found = [model.outputs(own, x) for own, x in _stacks(config, weights, inputs)]
    return _joined(found).to(torch.float32)


def states_and_logits(
    config: TrialConfig, weights: Weights, batch: TokenBatch
) -> tuple[States, Logits]:
    """The states at all places of the answers, and the logits made of them."""
    model = config.model
    assert isinstance(model, TokenModel)
    states: list[Tensor] = []
    logits: list[Tensor] = []
    with arithmetic(config, batch.question.device):
        for own, question, answer in _stacks(config, weights, batch.question, batch.answer):
            states.append(model.states(own, question, answer))
            logits.append(model.scores(own, states[-1]))
    return _joined(states).to(torch.float32), _joined(logits).to(torch.float32)


def generated(
    config: TrialConfig,
    weights: Weights,
    question: Int[Tensor, "trial batch question"],
    length: int,
) -> Int[Tensor, "trial batch answer"]:
    """The greedy answers."""
    model = config.model
    assert isinstance(model, TokenModel)
    with arithmetic(config, question.device):
        found = [
            model.generate(own, asked, length) for own, asked in _stacks(config, weights, question)
        ]
    return _joined(found)


def _stacks(config: TrialConfig, weights: Weights, *inputs: Tensor) -> Iterator[tuple[Any, ...]]:
    """Weights and inputs of all trials; in bfloat16 on a CPU of one trial after the other.

    There a product of matrices takes another kernel where all trials together have many numbers, and
    so a trial's bits would depend on its pack.
    """
    trials = inputs[0].shape[0]
    if trials == 1 or config.precision == "float32" or inputs[0].device.type != "cpu":
        yield weights, *inputs
        return
    pieces = {name: weight.split(1) for name, weight in weights.items()}
    apart = [each.split(1) for each in inputs]
    for trial in range(trials):
        own = like(weights, {name: piece[trial] for name, piece in pieces.items()})
        yield own, *(each[trial] for each in apart)


def _joined(found: list[Tensor]) -> Tensor:
    return found[0] if len(found) == 1 else torch.cat(found)
