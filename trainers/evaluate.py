"""Loss, exact match, and which classes are learned; answers are generated only where wanted."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from trainers.batches import Batch, NumberBatch, TokenBatch, class_batch, test_batch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD
from trainers.data.task import ClassedTask
from trainers.models.model import Model, NumberModel, TokenModel
from trainers.models.stack import Weights

_AT_ONCE = 1_000  # examples of one forward pass; bounds the memory, and changes no result


def loss_of(model: Model, weights: Weights, batch: Batch) -> Float[Tensor, " trial"]:
    """Mean cross-entropy of the answer's tokens in nats, or mean squared error, of each trial."""
    if isinstance(batch, NumberBatch):
        assert isinstance(model, NumberModel)  # TrialConfig pairs model and task
        return (model.outputs(weights, batch.inputs) - batch.targets).square().mean(dim=(1, 2))
    assert isinstance(model, TokenModel)
    logits = model.logits(weights, batch.question, batch.answer)
    return _cross_entropy(logits, batch).sum(dim=1) / (batch.answer != PAD).sum(dim=(1, 2))


def test_metrics(
    model: Model,
    weights: Weights,
    configs: Sequence[TrialConfig],
    device: torch.device,
    total: int,
) -> list[dict[str, float]]:
    """Test loss of each trial on `total` examples, and accuracy where answers can be exactly right.

    Greedy decoding gives the target exactly when every argmax is right given the true tokens before
    it, so one forward pass tells exact match.
    """
    loss = torch.zeros(len(configs), dtype=torch.float64, device=device)
    tokens, right = torch.zeros_like(loss), torch.zeros_like(loss)
    for first in range(0, total, _AT_ONCE):
        batch = test_batch(configs, first, min(first + _AT_ONCE, total), device)
        if isinstance(batch, NumberBatch):
            assert isinstance(model, NumberModel)
            errors = (model.outputs(weights, batch.inputs) - batch.targets).to(torch.float64)
            loss += errors.square().sum(dim=(1, 2))
            tokens += batch.targets[0].numel()
        else:
            assert isinstance(model, TokenModel)
            logits = model.logits(weights, batch.question, batch.answer)
            loss += _cross_entropy(logits, batch).to(torch.float64).sum(dim=1)
            tokens += (batch.answer != PAD).sum(dim=(1, 2))
            right += _exact(logits, batch).sum(dim=1)
    mean_loss = (loss / tokens).tolist()
    if isinstance(model, NumberModel):
        return [{"test_loss": value} for value in mean_loss]
    accuracy = (right / total).tolist()
    return [
        {"test_loss": value, "accuracy": share}
        for value, share in zip(mean_loss, accuracy, strict=True)
    ]


def class_metrics(
    model: Model, weights: Weights, configs: Sequence[TrialConfig], device: torch.device
) -> list[tuple[dict[str, float], dict[str, Any]]]:
    """Metrics and details of each trial over the classes of its task; nothing for other tasks.

    A class is learned when most of its examples are answered exactly. The modal answer of a class
    is the answer given most often; it is generated, since a teacher-forced argmax after a wrong
    token is no prediction.
    """
    task, encoding = configs[0].task, configs[0].encoding
    if not isinstance(task, ClassedTask):
        return [({}, {}) for _ in configs]
    assert isinstance(model, TokenModel)
    assert encoding is not None  # a task with classes is about integers
    each = configs[0].evaluation.class_examples
    names = torch.tensor(task.classes())
    answers: list[list[int | None]] = [[] for _ in configs]
    for part in names.split(max(1, _AT_ONCE // each)):
        batch = class_batch(configs, part, device)
        tokens = model.generate(weights, batch.question, batch.answer.shape[-1])
        for trial, rows in enumerate(tokens.tolist()):
            answers[trial] += [_single(encoding.decode(row)) for row in rows]
    return [_summary(task, given, each) for given in answers]


def _summary(
    task: ClassedTask, given: list[int | None], each: int
) -> tuple[dict[str, float], dict[str, Any]]:
    modal: dict[int, int] = {}
    right: dict[int, int] = {}
    shares: list[float] = []
    for number, name in enumerate(task.classes()):
        answers = given[number * each : (number + 1) * each]
        (answer, times), *_ = Counter(answers).most_common(1)
        modal[name] = -1 if answer is None else answer  # -1: not a number
        right[name] = answers.count(name)
        shares.append(times / each)
    learned = [name for name in modal if 2 * right[name] > each]
    metrics = {
        "classes_learned": float(len(learned)),
        "modal_share": sum(shares) / len(shares),
        **task.theory(frozenset(learned), modal),
    }
    details = {
        "learned": learned,
        "modal": list(modal.values()),
        "right": list(right.values()),
    }
    return metrics, details


def _single(numbers: list[int] | None) -> int | None:
    return numbers[0] if numbers is not None and len(numbers) == 1 else None


def _cross_entropy(
    logits: Float[Tensor, "trial batch answer vocabulary"], batch: TokenBatch
) -> Float[Tensor, "trial tokens"]:
    """Nats of every token of the answers, 0 for padding; each trial's tokens in one row."""
    each = F.cross_entropy(
        logits.flatten(0, 2), batch.answer.flatten(), ignore_index=PAD, reduction="none"
    )
    return each.view(logits.shape[0], -1)


def _exact(
    logits: Float[Tensor, "trial batch answer vocabulary"], batch: TokenBatch
) -> Bool[Tensor, "trial batch"]:
    return ((logits.argmax(dim=-1) == batch.answer) | (batch.answer == PAD)).all(dim=-1)
