"""The metrics of a report: loss, exact match, judged answers, and how training examples are kept."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.batches import (
    Batch,
    NumberBatch,
    TokenBatch,
    held_out_batch,
    held_out_examples,
    relearned_batch,
)
from trainers.config import TrialConfig, loss_at
from trainers.data.encoding import PAD
from trainers.data.task import JudgedTask, Task
from trainers.forward import generated, predicted
from trainers.losses import exact, token_losses
from trainers.models.model import NumberModel, TokenModel
from trainers.models.stack import Weights

AT_ONCE = 1_000  # examples of one forward pass; bounds the memory, and changes no result

Metrics = list[dict[str, float]]
"""One of each trial."""


def report_metrics(
    weights: Weights, configs: Sequence[TrialConfig], device: torch.device, total: int
) -> Metrics:
    """Test loss of each trial on `total` examples, and accuracy where answers can be exactly right.

    Greedy decoding gives the target exactly when every argmax is right given the true tokens before
    it, so one forward pass tells exact match. The named test sets follow, each under its name, and
    what training shows, under `train`.
    """
    first = configs[0]
    found = _test(weights, configs, device, total, first.task)
    if first.evaluation.by_place:
        found = _joined(found, _by_place(weights, configs, device, total))
    for name, task in first.test_tasks().items():
        found = _joined(found, _test(weights, configs, device, total, task), f"{name}/")
    if first.evaluation.training_examples:
        found = _joined(found, training_metrics(weights, configs, device), "train/")
    return found


def first_test(weights: Weights, configs: Sequence[TrialConfig], device: torch.device) -> Metrics:
    """Loss and accuracy on the trial's own test set alone, at the size of the last report."""
    evaluation = configs[0].evaluation
    total = evaluation.last_examples or evaluation.examples
    return _test(weights, configs, device, total, configs[0].task)


def training_metrics(
    weights: Weights, configs: Sequence[TrialConfig], device: torch.device
) -> Metrics:
    """Loss and accuracy on the first training examples, with the answers that training shows.

    Of the corrupted ones alone: how many are answered as shown, and how many are recovered, that is
    answered truly. An example that lent itself a right answer is not counted as corrupted.
    """
    total = configs[0].evaluation.training_examples
    loss = torch.zeros(len(configs), dtype=torch.float64, device=device)
    tokens, right, wrong = torch.zeros_like(loss), torch.zeros_like(loss), torch.zeros_like(loss)
    kept, recovered = torch.zeros_like(loss), torch.zeros_like(loss)
    for first, last in _chunks(total):
        made = relearned_batch(configs, first, last, device)
        outputs = predicted(configs[0], weights, made.shown)
        losses, counted = _losses(configs[0], outputs, made.shown)
        loss += losses.sum(dim=1)
        tokens += counted
        if isinstance(made.shown, TokenBatch) and isinstance(made.true, TokenBatch):
            differs = (made.shown.answer != made.true.answer).any(dim=-1) & made.corrupted
            as_shown = exact(outputs, made.shown)
            right += as_shown.sum(dim=1)
            wrong += differs.sum(dim=1)
            kept += (as_shown & differs).sum(dim=1)
            recovered += (exact(outputs, made.true) & differs).sum(dim=1)
    columns = {"loss": loss / tokens}
    if isinstance(configs[0].model, NumberModel):
        return _rows(columns)
    found = _rows({**columns, "accuracy": right / total})
    # NaN where no example happens to be corrupted
    of_corrupted = _rows({"corrupted_accuracy": kept / wrong, "recovered": recovered / wrong})
    corrupts = [config.data.corrupt > 0 for config in configs]
    return [
        one | (more if corrupt else {})
        for one, more, corrupt in zip(found, of_corrupted, corrupts, strict=True)
    ]


def _test(
    weights: Weights,
    configs: Sequence[TrialConfig],
    device: torch.device,
    total: int,
    task: Task,
) -> Metrics:
    """Loss, accuracy and judged answers on one test set."""
    loss = torch.zeros(len(configs), dtype=torch.float64, device=device)
    tokens, right = torch.zeros_like(loss), torch.zeros_like(loss)
    for first, last in _chunks(total):
        batch = held_out_batch(configs, first, last, device, task)
        outputs = predicted(configs[0], weights, batch)
        losses, counted = _losses(configs[0], outputs, batch)
        loss += losses.sum(dim=1)
        tokens += counted
        if isinstance(batch, TokenBatch):
            right += exact(outputs, batch).sum(dim=1)
    columns = {"test_loss": loss / tokens}
    if isinstance(configs[0].model, TokenModel):
        columns["accuracy"] = right / total
    found = _rows(columns)
    if isinstance(task, JudgedTask):
        found = _joined(found, _judged(weights, configs, device, task))
    return found


def _judged(
    weights: Weights, configs: Sequence[TrialConfig], device: torch.device, task: JudgedTask
) -> Metrics:
    """The task's own measures of answers as the model gives them, token after token."""
    writing = configs[0].writing()
    sums: Metrics = [dict.fromkeys(task.measures(), 0.0) for _ in configs]
    counts: Metrics = [dict.fromkeys(task.measures(), 0.0) for _ in configs]
    total = configs[0].evaluation.judged_examples
    for first, last in _chunks(total):
        asked = held_out_examples(configs, first, last, device, task)
        batch = held_out_batch(configs, first, last, device, task)
        assert isinstance(batch, TokenBatch)
        tokens = generated(configs[0], weights, batch.question, batch.answer.shape[-1])
        for row, answers in enumerate(tokens.tolist()):
            given = [writing.read(task, answer) for answer in answers]
            questions, wanted = asked[row]
            for name, values in task.judge(questions, wanted, given).items():
                said = [value for value in values if not math.isnan(value)]
                # as shares of the total, so that means keep the bits they had when all count
                sums[row][name] += sum(said) / total
                counts[row][name] += len(said)
    return [_means(own, counted, total) for own, counted in zip(sums, counts, strict=True)]


def _means(sums: dict[str, float], counts: dict[str, float], total: int) -> dict[str, float]:
    """Sums over `total` answers as means over those that count; NaN where none does."""
    return {
        name: value * (total / counts[name]) if counts[name] else math.nan
        for name, value in sums.items()
    }


def _by_place(
    weights: Weights, configs: Sequence[TrialConfig], device: torch.device, total: int
) -> Metrics:
    """Mean loss at every place of the answer, over the answers that reach it; NaN where none does."""
    loss = counted = torch.zeros(())
    for first, last in _chunks(total):
        batch = held_out_batch(configs, first, last, device, configs[0].task)
        assert isinstance(batch, TokenBatch)  # TrialConfig refuses by_place for numbers
        outputs = predicted(configs[0], weights, batch)
        each = token_losses(configs[0], outputs, batch.answer).view(batch.answer.shape)
        loss = loss + each.to(torch.float64).sum(dim=1)
        counted = counted + (batch.answer != PAD).sum(dim=1)
    means: list[list[float]] = (loss / counted).tolist()
    return [{loss_at(place): value for place, value in enumerate(row)} for row in means]


def _losses(
    config: TrialConfig, outputs: Tensor, batch: Batch
) -> tuple[Float[Tensor, "trial each"], Tensor]:
    """The loss of every number or token in float64, and how many count in each trial."""
    if isinstance(batch, NumberBatch):
        errors = (outputs - batch.targets).to(torch.float64).square().flatten(1)
        return errors, torch.tensor(errors.shape[1], device=errors.device)
    each = token_losses(config, outputs, batch.answer).to(torch.float64)
    return each, (batch.answer != PAD).sum(dim=(1, 2))


def _chunks(total: int) -> Iterator[tuple[int, int]]:
    for first in range(0, total, AT_ONCE):
        yield first, min(first + AT_ONCE, total)


def _rows(columns: dict[str, Tensor]) -> Metrics:
    values = torch.stack(list(columns.values()), dim=1).tolist()
    return [dict(zip(columns, row, strict=True)) for row in values]


def _joined(one: Metrics, other: Metrics, prefix: str = "") -> Metrics:
    return [
        mine | {f"{prefix}{name}": value for name, value in theirs.items()}
        for mine, theirs in zip(one, other, strict=True)
    ]
