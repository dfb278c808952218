"""Batches of a pack: which examples (sampling), what they are (task), how written (encoding)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainers.config import TrialConfig
from trainers.data.draws import CLASSES, TEST, TRAIN, Draws
from trainers.data.encoding import END, PAD
from trainers.data.sampling import shown
from trainers.data.task import ClassedTask, IntegerTask, NumberTask, Problems, Samples, Task


@dataclass(frozen=True)
class TokenBatch:
    """Encoded examples of every trial of a pack."""

    question: Int[Tensor, "trial batch question"]
    answer: Int[Tensor, "trial batch answer"]

    def part(self, first: int, last: int) -> "TokenBatch":
        """The examples from first up to, not including, last."""
        return TokenBatch(self.question[:, first:last], self.answer[:, first:last])


@dataclass(frozen=True)
class NumberBatch:
    """Real inputs and targets of every trial of a pack."""

    inputs: Float[Tensor, "trial batch inputs"]
    targets: Float[Tensor, "trial batch outputs"]

    def part(self, first: int, last: int) -> "NumberBatch":
        """The examples from first up to, not including, last."""
        return NumberBatch(self.inputs[:, first:last], self.targets[:, first:last])


Batch = TokenBatch | NumberBatch


def training_batch(
    configs: Sequence[TrialConfig], steps_done: Sequence[int], steps: int, device: torch.device
) -> Batch:
    """The examples of the next `steps` steps of every trial, each at its own place."""
    size = configs[0].batch_size
    places = [
        torch.arange(done * size, (done + steps) * size, device=device) for done in steps_done
    ]
    rows = [
        shown(config.data, config.seed, place)
        for config, place in zip(configs, places, strict=True)
    ]
    example = torch.stack([row.example for row in rows])
    answer_of = torch.stack([row.answer_of for row in rows])
    seeds = _seeds(configs, device)
    primed = torch.stack([row.primed for row in rows])[..., None]
    tasks = configs[0].tasks()
    made = _mixed(tasks, primed, seeds, example)
    if any(config.data.corrupt for config in configs):
        made = _with_answers(made, _mixed(tasks, primed, seeds, answer_of))
    return _written(configs[0], made)


def test_batch(
    configs: Sequence[TrialConfig], first: int, last: int, device: torch.device
) -> Batch:
    """Test examples from first up to, not including, last: draws that training never makes."""
    index = torch.arange(first, last, device=device).expand(len(configs), -1)
    made = _made(configs[0].task, Draws(_seeds(configs, device), index, TEST))
    return _written(configs[0], made)


def class_batch(
    configs: Sequence[TrialConfig], classes: Int[Tensor, " class"], device: torch.device
) -> TokenBatch:
    """`class_examples` test examples of each class, one class after the other."""
    task = configs[0].task
    if not isinstance(task, ClassedTask):
        raise TypeError(f"expected a task with classes, got {task.kind}")
    each = configs[0].evaluation.class_examples
    wanted = classes.to(device).repeat_interleave(each).expand(len(configs), -1)
    # an example keeps its draws whichever other classes are asked for
    index = wanted * each + torch.arange(each, device=device).repeat(len(classes))
    draws = Draws(_seeds(configs, device), index, CLASSES)
    batch = _written(configs[0], task.problems_of(wanted, draws))
    assert isinstance(batch, TokenBatch)  # a task with classes is about integers
    return batch


def _seeds(configs: Sequence[TrialConfig], device: torch.device) -> Int[Tensor, "trial 1"]:
    return torch.tensor([config.seed for config in configs], device=device)[:, None]


def _made(task: Task, draws: Draws) -> Problems | Samples:
    if isinstance(task, IntegerTask):
        return task.problems(draws)
    if isinstance(task, NumberTask):
        return task.samples(draws)
    raise TypeError(f"expected a task of integers or of numbers, got {type(task).__name__}")


def _mixed(
    tasks: Sequence[Task],
    primed: Bool[Tensor, "trial example 1"],
    seeds: Int[Tensor, "trial 1"],
    example: Int[Tensor, "trial example"],
) -> Problems | Samples:
    """Training examples of the task, and of the priming task at the primed places."""
    task, *prime = tasks
    made = _made(task, Draws(seeds, example, TRAIN))
    for other in prime:
        made = _where(primed, _made(other, Draws(seeds, example, TRAIN)), made)
    return made


def _where(chosen: Tensor, yes: Problems | Samples, no: Problems | Samples) -> Problems | Samples:
    if isinstance(yes, Problems) and isinstance(no, Problems):
        return Problems(
            torch.where(chosen, yes.question, no.question),
            torch.where(chosen, yes.answer, no.answer),
        )
    assert isinstance(yes, Samples)
    assert isinstance(no, Samples)  # the priming task is of the same class as the task
    return Samples(
        torch.where(chosen, yes.inputs, no.inputs), torch.where(chosen, yes.targets, no.targets)
    )


def _with_answers(asked: Problems | Samples, lender: Problems | Samples) -> Problems | Samples:
    if isinstance(asked, Problems) and isinstance(lender, Problems):
        return Problems(asked.question, lender.answer)
    assert isinstance(asked, Samples)
    assert isinstance(lender, Samples)
    return Samples(asked.inputs, lender.targets)


def _written(config: TrialConfig, made: Problems | Samples) -> Batch:
    if isinstance(made, Samples):
        return NumberBatch(made.inputs.to(torch.float32), made.targets.to(torch.float32))
    encoding, bounds = config.encoding, config.bounds()
    assert encoding is not None  # TrialConfig asks for one where the task is about integers
    question = encoding.encode(made.question, bounds.question)
    answer = encoding.encode(made.answer, bounds.answer)
    answer = torch.cat([answer, torch.full_like(answer[..., :1], PAD)], dim=-1)
    length = (answer != PAD).sum(dim=-1, keepdim=True)
    return TokenBatch(question, answer.scatter(-1, length, END))
