"""Ask a trained trial: questions that a person types, or some of its own test examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from trainers.batches import NumberBatch, held_out_batch, held_out_examples
from trainers.config import TrialConfig
from trainers.data.script import Script, forms
from trainers.data.task import Numbers, NumberTask, RealTask, TokenTask
from trainers.data.typed import typed_reals
from trainers.data.writing import spelled
from trainers.forward import generated, predicted_numbers
from trainers.models.stack import Layout, Weights
from trainers.result import Saved

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Reply:
    """A question and what the trial answers; `wanted` is the task's own answer, where known."""

    question: str
    answer: str | None  # None: no answer that the encoding would write
    tokens: tuple[int, ...]  # as they were generated
    wanted: str | None = None


def replies(config: TrialConfig, saved: Saved, questions: Sequence[str]) -> list[Reply]:
    """The answers to questions as a person types them.

    Raises:
        InputError: the task asks nothing so.

    """
    if isinstance(config.task, NumberTask):
        inputs = torch.tensor([typed_reals(text, config.task.sizes()[0]) for text in questions])
        outputs = _outputs(config, saved, inputs)
        return [Reply(text, answer, ()) for text, answer in zip(questions, outputs, strict=True)]
    writing = config.writing()
    assert isinstance(config.task, TokenTask)  # the other kind of task
    tokens = torch.stack([writing.ask(config.task, text) for text in questions])
    return [
        Reply(text, answer, given)
        for text, (answer, given) in zip(questions, _answers(config, saved, tokens), strict=True)
    ]


def examples(config: TrialConfig, saved: Saved, count: int) -> list[Reply]:
    """The trial's answers to the first of its own test examples, beside the true ones."""
    batch = held_out_batch([config], 0, count, _CPU, config.task)
    if isinstance(batch, NumberBatch):
        outputs = _outputs(config, saved, batch.inputs[0])
        return [
            Reply(_exactly(asked), answer, (), _numbers(wanted))
            for asked, answer, wanted in zip(
                batch.inputs[0].tolist(), outputs, batch.targets[0].tolist(), strict=True
            )
        ]
    assert isinstance(config.task, TokenTask)  # the other kind of task
    task, writing = config.task, config.writing()
    ((asked, wanted),) = held_out_examples([config], 0, count, _CPU, task)
    if isinstance(task, RealTask):  # a model sees no more of a number than what is written
        of_question, of_answer = forms(task)
        asked = [_as_written(writing.asked, task, numbers, of_question) for numbers in asked]
        wanted = [_as_written(writing.answered, task, numbers, of_answer) for numbers in wanted]
    given = _answers(config, saved, batch.question[0])
    return [
        Reply(spelled(task, question), answer, tokens, spelled(task, true))
        for question, (answer, tokens), true in zip(asked, given, wanted, strict=True)
    ]


@torch.no_grad()
def _answers(
    config: TrialConfig, saved: Saved, questions: Int[Tensor, "batch question"]
) -> list[tuple[str | None, tuple[int, ...]]]:
    writing, task = config.writing(), config.task
    assert isinstance(task, TokenTask)  # TrialConfig pairs model and task
    length = writing.lengths([task]).answer
    given = generated(config, _weights(config, saved), questions[None], length)
    found: list[tuple[str | None, tuple[int, ...]]] = []
    for tokens in given[0].tolist():
        values = writing.read(task, tokens)
        answer = None if values is None else spelled(task, values)
        found.append((answer, tuple(tokens)))
    return found


@torch.no_grad()
def _outputs(config: TrialConfig, saved: Saved, inputs: Tensor) -> list[str]:
    outputs = predicted_numbers(config, _weights(config, saved), inputs[None])
    return [_numbers(row) for row in outputs[0].tolist()]


def _weights(config: TrialConfig, saved: Saved) -> Weights:
    return Layout(config.parameters()).views(saved.tensors["weights"][None])


def _as_written(script: Script, task: RealTask, numbers: Numbers, form: Any) -> Numbers:
    tokens = script.encode(task, torch.tensor(numbers, dtype=torch.float64), form)
    read = script.decode(task, tokens.tolist(), form)
    assert read is not None  # what an encoding writes, it reads
    return read


def _exactly(numbers: Sequence[float]) -> str:
    """Single precision with as many digits as tell it from all others."""
    return " ".join(str(np.float32(number)) for number in numbers)


def _numbers(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.6g}" for number in numbers)
