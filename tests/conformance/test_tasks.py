"""What every task promises, for every task in the folder.

`answers/<kind>.py` holds the other program of a task: VARIANTS are fields that cover its options, and
`accepts(task, asked, answered)` says whether an answer is right.
"""

import importlib
import math
import pkgutil
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.conformance import answers
from trainers.data import tasks
from trainers.data.draws import TEST, TRAIN, Draws
from trainers.data.task import (
    HOLE,
    ClassedTask,
    IntegerTask,
    JudgedTask,
    NumberTask,
    RealTask,
    SymbolTask,
    Task,
    TokenTask,
    measured_often,
    measured_once,
)
from trainers.plugins import kinds, summary

KINDS = kinds(tasks, Task)
PROGRAMS: dict[str, ModuleType] = {
    info.name: importlib.import_module(f"tests.conformance.answers.{info.name}")
    for info in pkgutil.iter_modules(answers.__path__)
}
CASES = [
    pytest.param(kind(**fields), id=f"{name}-{number}")
    for name, kind in KINDS.items()
    for number, fields in enumerate([{}, *(PROGRAMS[name].VARIANTS if name in PROGRAMS else [])])
]
TOKEN_CASES = [case for case in CASES if isinstance(case.values[0], TokenTask)]


def draws(index: list[int], seed: int = 3, domain: int = TRAIN) -> Draws:
    return Draws(torch.tensor(seed), torch.tensor(index), domain)


def raw(task: Task, source: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Questions and answers, or inputs and targets, as they come."""
    if isinstance(task, IntegerTask | RealTask):
        made = task.problems(source)
        return made.question, made.answer
    if isinstance(task, SymbolTask):
        lines = task.lines(source)
        return lines.question, lines.answer
    assert isinstance(task, NumberTask)
    samples = task.samples(source)
    return samples.inputs, samples.targets


def rows(task: Task, numbers: torch.Tensor) -> list[list[Any]]:
    """Each question or answer as the programs want it: numbers, or spelled symbols."""
    if not isinstance(task, SymbolTask):
        return numbers.tolist()
    spelling = task.alphabet()
    return [[spelling[one] for one in row if one != HOLE] for row in numbers.tolist()]


def test_every_task_of_the_folder_has_another_program_here() -> None:
    assert set(KINDS) == set(PROGRAMS)


@pytest.mark.parametrize("name", KINDS)
def test_a_task_says_what_it_asks_and_where_it_comes_from(name: str) -> None:
    line, source = summary(KINDS[name])
    assert line.endswith(".")
    assert "arXiv:" in source or "doi:" in source


@pytest.mark.parametrize("task", CASES)
def test_an_example_does_not_depend_on_its_batch(task: Task) -> None:
    index = [5, 900, 2**45, 0]
    asked, answered = raw(task, draws(index))
    for place, one in enumerate(index):
        alone_asked, alone_answered = raw(task, draws([one]))
        torch.testing.assert_close(asked[place], alone_asked[0], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(
            answered[place], alone_answered[0], rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("task", CASES)
def test_a_pack_of_seeds_has_the_examples_of_each_seed(task: Task) -> None:
    index = torch.arange(6)
    together, _ = raw(task, Draws(torch.tensor([[3], [8]]), index.expand(2, -1), TRAIN))
    for row, seed in enumerate((3, 8)):
        alone, _ = raw(task, draws(index.tolist(), seed=seed))
        assert torch.equal(together[row], alone)


@pytest.mark.parametrize("name", KINDS)
def test_examples_differ_between_seeds_indices_and_domains(name: str) -> None:
    index = list(range(200))
    asked, _ = raw(KINDS[name](), draws(index))
    others = [
        raw(KINDS[name](), draws(index, seed=4))[0],
        raw(KINDS[name](), draws(index, domain=TEST))[0],
        raw(KINDS[name](), draws([i + 200 for i in index]))[0],
    ]
    says_something = (asked != 0).any(dim=-1)  # many a sparse input is all zeros
    for other in others:
        assert float(((asked == other).all(dim=-1) & says_something).double().mean()) < 0.05


@pytest.mark.parametrize("task", CASES)
@pytest.mark.parametrize("domain", [TRAIN, TEST])
def test_another_program_accepts_every_answer(task: Any, domain: int) -> None:
    accepts = PROGRAMS[task.kind].accepts
    asked, answered = (rows(task, side) for side in raw(task, draws(list(range(200)), 3, domain)))
    for question, answer in zip(asked, answered, strict=True):
        assert accepts(task, question, answer), (question, answer)


@pytest.mark.parametrize("task", CASES)
def test_another_program_refuses_a_changed_answer(task: Any) -> None:
    accepts = PROGRAMS[task.kind].accepts
    asked, answered = (rows(task, side) for side in raw(task, draws(list(range(40)))))
    for number, (question, answer) in enumerate(zip(asked, answered, strict=True)):
        place = number % len(answer)
        changed = list(answer)
        if isinstance(task, SymbolTask):
            alphabet = task.alphabet()
            changed[place] = alphabet[(alphabet.index(answer[place]) + 1) % len(alphabet)]
        else:
            changed[place] += 1 if isinstance(task, IntegerTask) else 1 + abs(changed[place])
        assert not accepts(task, question, changed), (question, changed)


@pytest.mark.parametrize("task", CASES)
def test_numbers_lie_within_what_the_task_says_of_them(task: Task) -> None:
    asked, answered = raw(task, draws(list(range(2_000))))
    if isinstance(task, IntegerTask):
        for numbers, bounds in ((asked, task.bounds().question), (answered, task.bounds().answer)):
            assert numbers.shape[-1] == len(bounds)
            assert bool((numbers.abs().amax(dim=0) <= torch.tensor(bounds)).all())
    elif isinstance(task, SymbolTask):
        assert (asked.shape[-1], answered.shape[-1]) == task.lengths()
        for symbols in (asked, answered):
            assert int(symbols.min()) >= HOLE
            assert int(symbols.max()) < len(task.alphabet())
            assert bool((symbols != HOLE).any(dim=-1).all())
        if task.answers_have_one_length():
            assert not bool((answered == HOLE).any())
    elif isinstance(task, RealTask):
        counts = [sum(torch.Size(size).numel() for size in side) for side in task.sizes()]
        assert [asked.shape[-1], answered.shape[-1]] == counts
        assert asked.dtype == answered.dtype == torch.float64
        assert bool(asked.isfinite().all())
    else:
        assert isinstance(task, NumberTask)
        assert (asked.shape[-1], answered.shape[-1]) == task.sizes()
        assert asked.dtype == answered.dtype == torch.float64


@pytest.mark.parametrize("task", [case for case in CASES if isinstance(case.values[0], SymbolTask)])
def test_an_alphabet_spells_no_two_symbols_alike(task: SymbolTask) -> None:
    alphabet = task.alphabet()
    assert len(set(alphabet)) == len(alphabet)
    assert all(alphabet)


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
        assert PROGRAMS[task.kind].accepts(task, question, answer)


@pytest.mark.parametrize("task", [case for case in CASES if isinstance(case.values[0], JudgedTask)])
def test_a_judge_gives_true_answers_full_marks_and_counts_no_answer_as_wrong(task: Any) -> None:
    asked, answered = raw(task, draws(list(range(30)), domain=TEST))
    questions, wanted = (
        [[one for one in row if one != HOLE] for row in side.tolist()]
        if isinstance(task, SymbolTask)
        else side.tolist()
        for side in (asked, answered)
    )
    right = task.judge(questions, wanted, wanted)
    assert right.keys() == set(task.measures())
    assert all(len(values) == 30 for values in right.values())
    nothing = task.judge(questions, wanted, [None] * 30)
    for name, values in nothing.items():
        if name.startswith(
            "wrong_"
        ):  # of wrong answers alone: no answer is one, a true answer none
            assert all(map(math.isnan, right[name]))
            assert set(values) == {0.0}
            continue
        assert sum(values) <= sum(right[name])
        assert values != right[name]


@pytest.mark.parametrize("name", KINDS)
def test_a_task_names_its_metrics_before_it_runs(name: str) -> None:
    task = KINDS[name]()
    often, once = measured_often(task), measured_once(task)
    assert "test_loss" in often
    assert ("accuracy" in often) == isinstance(task, TokenTask)
    assert ("classes_learned" in once) == isinstance(task, ClassedTask)
    assert not often & once
