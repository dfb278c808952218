"""What every task promises, for every task in the folder."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from trainers.data import tasks
from trainers.data.draws import TEST, TRAIN, Draws
from trainers.data.task import (
    ClassedTask,
    IntegerTask,
    NumberTask,
    Problems,
    Samples,
    Task,
    metrics_of,
)
from trainers.plugins import kinds, summary

KINDS = kinds(tasks, Task)
Answer = Callable[[Any, list[Any]], list[Any]]

ANSWERS: dict[str, Answer] = {
    "gcd": lambda task, asked: [math.gcd(*asked)],
    "modular": lambda task, asked: [
        {"add": asked[0] + asked[1], "subtract": asked[0] - asked[1]}.get(
            task.operation, asked[0] * asked[1]
        )
        % task.modulus
    ],
    "square": lambda task, asked: [asked[0] ** 2],
}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "gcd": [{"largest": 2}, {"largest": 60, "top_class": 100}, {"largest": 10**12}],
    "modular": [
        {"operation": operation, "modulus": modulus, "largest": largest}
        for operation in ("add", "subtract", "multiply")
        for modulus, largest in ((2, 1), (97, 96), (10**9, 10**9))
    ],
    "square": [{"reach": 0.5}, {"reach": 1e6}],
}
CASES = [
    pytest.param(kind(**fields), id=f"{name}-{fields}")
    for name, kind in KINDS.items()
    for fields in [{}, *VARIANTS.get(name, [])]
]


def draws(index: list[int], seed: int = 3, domain: int = TRAIN) -> Draws:
    return Draws(torch.tensor(seed), torch.tensor(index), domain)


def examples(task: Task, source: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Questions and answers, or inputs and targets."""
    if isinstance(task, IntegerTask):
        problems = task.problems(source)
        assert isinstance(problems, Problems)
        return problems.question, problems.answer
    assert isinstance(task, NumberTask)
    samples = task.samples(source)
    assert isinstance(samples, Samples)
    return samples.inputs, samples.targets


def test_the_folder_holds_tasks_and_each_has_an_independent_answer_here() -> None:
    assert set(KINDS) == set(ANSWERS)


@pytest.mark.parametrize("name", KINDS)
def test_a_task_says_what_it_asks_and_where_it_comes_from(name: str) -> None:
    line, source = summary(KINDS[name])
    assert line.endswith(".")
    assert "arXiv:" in source or "doi:" in source


@pytest.mark.parametrize("task", CASES)
def test_an_example_does_not_depend_on_its_batch(task: Task) -> None:
    asked, answered = examples(task, draws([5, 900, 2**45, 0]))
    for place, index in enumerate([5, 900, 2**45, 0]):
        alone_asked, alone_answered = examples(task, draws([index]))
        assert torch.equal(asked[place], alone_asked[0])
        assert torch.equal(answered[place], alone_answered[0])


@pytest.mark.parametrize("name", KINDS)
def test_examples_differ_between_seeds_indices_and_domains(name: str) -> None:
    index = list(range(200))
    asked, _ = examples(KINDS[name](), draws(index))
    others = [
        examples(KINDS[name](), draws(index, seed=4))[0],
        examples(KINDS[name](), draws(index, domain=TEST))[0],
        examples(KINDS[name](), draws([i + 200 for i in index]))[0],
    ]
    for other in others:
        assert float((asked == other).all(dim=-1).double().mean()) < 0.05


@pytest.mark.parametrize("task", CASES)
def test_answers_are_those_of_another_program(task: Any) -> None:
    asked, answered = examples(task, draws(list(range(300))))
    for question, answer in zip(asked.tolist(), answered.tolist(), strict=True):
        assert answer == ANSWERS[task.kind](task, question)


@pytest.mark.parametrize("task", CASES)
def test_numbers_lie_within_the_bounds_and_the_bounds_have_their_count(task: Task) -> None:
    asked, answered = examples(task, draws(list(range(3_000))))
    if isinstance(task, NumberTask):
        assert (asked.shape[-1], answered.shape[-1]) == task.sizes()
        assert asked.dtype == answered.dtype == torch.float64
        return
    assert isinstance(task, IntegerTask)
    for numbers, bounds in ((asked, task.bounds().question), (answered, task.bounds().answer)):
        assert numbers.shape[-1] == len(bounds)
        assert bool((numbers.abs().amax(dim=0) <= torch.tensor(bounds)).all())


@pytest.mark.parametrize("name", [n for n, kind in KINDS.items() if issubclass(kind, IntegerTask)])
def test_a_task_of_small_numbers_reaches_its_bounds(name: str) -> None:
    small: dict[str, dict[str, int]] = {
        "gcd": {"largest": 6},
        "modular": {"largest": 6, "modulus": 5},
    }
    task = KINDS[name](**small[name])
    assert isinstance(task, IntegerTask)
    asked, answered = examples(task, draws(list(range(3_000))))
    assert asked.amax(dim=0).tolist() == list(task.bounds().question)
    assert answered.amax(dim=0).tolist() == list(task.bounds().answer)


@pytest.mark.parametrize(
    "task", [case for case in CASES if isinstance(case.values[0], ClassedTask)]
)
def test_an_example_of_a_class_has_that_answer_and_fits_the_bounds(task: ClassedTask) -> None:
    classes = torch.tensor(task.classes()).repeat_interleave(5)
    index = torch.arange(len(classes))
    problems = task.problems_of(classes, Draws(torch.tensor(1), index, TEST))
    assert torch.equal(problems.answer[:, 0], classes)
    assert bool((problems.question <= torch.tensor(task.bounds().question)).all())
    for question, answer in zip(problems.question.tolist(), problems.answer.tolist(), strict=True):
        assert ANSWERS[task.kind](task, question) == answer  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", KINDS)
def test_a_task_names_its_metrics_before_it_runs(name: str) -> None:
    task = KINDS[name]()
    names = metrics_of(task)
    assert "test_loss" in names
    assert ("accuracy" in names) == isinstance(task, IntegerTask)
    assert ("classes_learned" in names) == isinstance(task, ClassedTask)
