"""Everything that the folders offer works with everything else that it fits, in tiny trials.

The folders are listed, so a new task, encoding, model or position is covered without an edit. Rows take
every value of every axis at least once; which values meet is decided by what was used least so far.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from tests.offers import (
    ENCODINGS,
    MODELS,
    OPTIMIZERS,
    TASKS,
    Fields,
    choices,
    task_fields,
)
from trainers.batches import TokenBatch, held_out_batch
from trainers.checkpoint import newest_checkpoint, write_checkpoint
from trainers.config import TrialConfig, trial_config
from trainers.data.draws import TEST, Draws
from trainers.data.encoding import IntegerEncoding, RealEncoding, SymbolEncoding
from trainers.data.script import forms
from trainers.data.task import (
    ConcludedTask,
    IntegerTask,
    NumberTask,
    RealTask,
    SymbolTask,
    TokenTask,
)
from trainers.data.writing import spelled, writing
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.model import NumberModel, TokenModel
from trainers.models.stack import Layout
from trainers.predict import examples, replies
from trainers.result import Event, Outcome, Reported, Saved
from trainers.schema import InputError

EVALUATION: Fields = {"points": 1, "examples": 4, "class_examples": 1, "judged_examples": 2}
BASE: Fields = {"batch_size": 4, "budget": {"steps": 3}, "evaluation": EVALUATION, "seed": 11}

OTHER = {"other": None}
"""Stands for the fields of another task."""

REGIMES: list[Fields] = [
    {},
    {"distinct": 9},
    {"distinct": 9, "order": "cycle"},
    {"distinct": 4, "order": "cycle"},  # a batch, so the same one at every step
    {"distinct": 50, "hot": {"size": 3, "share": 0.5}},
    {"hot": {"size": 3, "share": 0.5}},
    {"distinct": 50, "prime": {"count": 25, "task": OTHER}},
    {"prime": {"count": 5, "task": OTHER, "share": 0.4}, "corrupt": 0.3},
    {"corrupt": 0.5},
    {"distinct": 9, "corrupt": 1.0},
    {"mixture": [{"task": OTHER, "share": 0.5}]},
    {"mixture": [{"task": OTHER, "share": 0.3}, {"task": OTHER, "share": 0.3}], "tagged": True},
    {"mixture": [{"task": OTHER, "share": 0.5}], "corrupt": 0.5, "distinct": 20, "order": "cycle"},
    {
        "mixture": [{"task": OTHER, "share": 0.3}],
        "prime": {"count": 5, "task": OTHER, "share": 0.3},
        "tagged": True,
    },
]

EXTRAS: list[Fields] = [
    {},
    {"evaluate": {"again": {"task": OTHER}}},
    {"evaluate": {"one": {"task": OTHER}, "two": {"task": OTHER}}},
    {"evaluation": {"by_place": True}},
    {"evaluation": {"training_examples": 7}},
    {"evaluation": {"training_examples": 3, "prune": [0.25, 0.5]}},
    {"evaluation": {"prune": [0.5], "last_examples": 9}},
    {"auxiliary": {"weight": 0.5}},
    {"precision": "bfloat16"},
    {"precision": "bfloat16", "auxiliary": {"weight": 0.5}},
    {"loss": "squared_error"},
    {"loss": "squared_error", "auxiliary": {"weight": 2.0}, "evaluation": {"by_place": True}},
]


@dataclass(frozen=True)
class Row:
    """One trial of the covering set."""

    name: str
    fields: Fields = field(compare=False)


def encodings_of(task: Any) -> list[Fields | None]:
    """Every way to write a task; none for a task of numbers."""
    if isinstance(task, NumberTask):
        return [None]
    families = (IntegerEncoding, SymbolEncoding) if isinstance(task, IntegerTask) else ()
    families = families or ((RealEncoding,) if isinstance(task, RealTask) else (SymbolEncoding,))
    return [
        fields
        for kind in ENCODINGS.values()
        if issubclass(kind, families)
        for fields in choices(kind)
    ]


def models_of(task: Any) -> list[Fields]:
    """Every model that may fit a task."""
    family = NumberModel if isinstance(task, NumberTask) else TokenModel
    return [
        fields for kind in MODELS.values() if issubclass(kind, family) for fields in choices(kind)
    ]


def accepted(fields: Fields) -> bool:
    try:
        trial_config(fields)
    except InputError:
        return False
    return True


class Axes:
    """Chooses values so that all of them are used: of those accepted, one that was used least."""

    def __init__(self) -> None:
        self.uses: dict[str, dict[str, int]] = {}
        self.tasks = task_fields()

    def rows(self) -> Iterator[Row]:
        """Every task in every variant; then every task again while some values wait for theirs."""
        for number, task in enumerate(self.tasks):
            yield self.row(task, number)
        number, left = len(self.tasks), len(self.unused()) + 1
        while len(self.unused()) < left:
            left = len(self.unused())
            for kind in TASKS:
                if self.unused():
                    yield self.row({"kind": kind}, number)
                    number += 1

    def unused(self) -> list[str]:
        """The values that no row has."""
        return [value for uses in self.uses.values() for value, count in uses.items() if count == 0]

    def row(self, task: Fields, number: int) -> Row:
        """A trial of this task with values that were used least so far."""
        one = TASKS[task["kind"]].model_validate(task, strict=False)
        written, fitting = encodings_of(one), models_of(one)
        axes: dict[str, list[Fields]] = {
            "optimizer": [{"optimizer": fields} for fields in optimizers()],
            "encoding": [{"encoding": fields} for fields in written],
            "model": [{"model": fields} for fields in fitting],
            "answer": [{}, *({"answer_encoding": fields} for fields in written if fields)],
            "data": [{"data": fields} for fields in REGIMES],
            "extra": EXTRAS,
        }
        pairs = (
            {**BASE, "task": task, "encoding": encoding, "model": model}
            for encoding in written
            for model in fitting
        )
        fields = next(pair for pair in pairs if accepted(pair))
        for axis, offered in axes.items():
            fields = self.chosen(axis, offered, fields, number)
        if isinstance(one, NumberTask):  # a target of 10^12 is too much for plain descent
            fields["optimizer"] = {**fields["optimizer"], "clip": 1.0}
        parts = [fields[name] for name in ("task", "encoding", "model", "optimizer")]
        return Row(f"{number}-" + "-".join(part["kind"] for part in parts if part), fields)

    def chosen(self, axis: str, offered: list[Fields], before: Fields, number: int) -> Fields:
        """The fields with the least used value with which they are a trial."""
        uses = self.uses.setdefault(axis, {})
        for value in offered:
            uses.setdefault(json.dumps(value), 0)
        by_chance = Random(f"{axis} {number}").sample(offered, len(offered))
        for value in sorted(by_chance, key=lambda value: uses[json.dumps(value)]):
            for fields in self.filled(value, before, number):
                if accepted(fields):
                    uses[json.dumps(value)] += 1
                    return fields
        raise AssertionError(f"no {axis} of {len(offered)} makes a trial of {before}")

    def filled(self, value: Fields, before: Fields, number: int) -> Iterator[Fields]:
        """The fields with a value, for several other tasks where it has room for some."""
        text, hole = json.dumps(value), json.dumps(OTHER)
        mates = self.mates(before["task"]["kind"]) if hole in text else [{}]
        some = Random(number).sample(mates, min(4, len(mates)))
        for first in range(len(some)):
            filled = text
            for place in range(text.count(hole)):
                other = some[(first + place) % len(some)]
                filled = filled.replace(hole, json.dumps(other), 1)
            change = json.loads(filled)
            evaluation = {**before["evaluation"], **change.get("evaluation", {})}
            yield {**before, **change, "evaluation": evaluation}

    def mates(self, kind: str) -> list[Fields]:
        """The tasks that may stand beside one of this kind."""
        if issubclass(TASKS[kind], NumberTask):  # of the same sizes
            return [{"kind": kind}]
        families = [(IntegerTask,), (RealTask,), (SymbolTask, IntegerTask)]
        beside = next(family for family in families if issubclass(TASKS[kind], family[0]))
        return [one for one in self.tasks if issubclass(TASKS[one["kind"]], beside)]


def optimizers() -> list[Fields]:
    """Every optimizer, at a rate at which nothing breaks."""
    found = [fields for kind in OPTIMIZERS.values() for fields in choices(kind)]
    return [{**fields, "lr": 1e-3} for fields in found if "lr" not in fields]


AXES = Axes()
ROWS = list(AXES.rows())
_LONG = 120  # tokens of an example, and ...
_LARGE = 200_000  # ... parameters, from which a trial takes a second and more


def marked(row: Row) -> Any:
    config = trial_config(row.fields)
    slow = config.shape().numbers > _LONG or config.cost().all_params > _LARGE
    return pytest.param(row, id=row.name, marks=[pytest.mark.slow] if slow else [])


def pack_of(config: TrialConfig) -> list[TrialConfig]:
    """The trial between two others that differ from it in all that a pack holds for each."""
    mine = config.model_dump()
    others: list[TrialConfig] = []
    schedule = {"schedule": "cosine", "decay_share": None, "final_share": 0.25}
    for number in (1, 2):
        fields = {
            **mine,
            "seed": 100 + number,
            "optimizer": {**mine["optimizer"], **schedule, "lr": 1e-4 * number, "clip": number},
            "budget": {"steps": 1 + number},  # of the first, below that of the trial
        }
        for change in ({"corrupt": 0.5}, {"distinct": 8 + number}, {"hot": None}):
            changed = {**fields, "data": {**fields["data"], **change}}
            fields = changed if accepted(changed) else fields
        others.append(trial_config(fields))
    return [others[0], config, others[1]]


@dataclass
class History:
    """What a trial reported, its last state and its outcome, in a form that compares by bits."""

    points: dict[int, dict[str, str]] = field(default_factory=dict)
    saved: list[Saved] = field(default_factory=list)
    outcome: Outcome | None = None

    def add(self, event: Event) -> None:
        if isinstance(event, Reported):
            assert event.point.step not in self.points
            self.points[event.point.step] = bits(event.point.values)
        elif isinstance(event, Saved):
            self.saved.append(event)
        else:
            assert self.outcome is None
            self.outcome = event.outcome


def bits(values: dict[str, float]) -> dict[str, str]:
    return {name: float(value).hex() for name, value in values.items()}


def offered_values(fields: Any) -> set[str]:
    """Each kind with every field that is set, and with the value where that is no number."""
    found: set[str] = set()
    if isinstance(fields, dict):
        kind = fields.get("kind", "")
        for name, value in fields.items():
            plain = isinstance(value, str | bool)
            found |= {f"{kind}.{name}={value}" if plain else f"{kind}.{name}"} | offered_values(
                value
            )
    elif isinstance(fields, list | tuple):
        found |= {one for value in fields for one in offered_values(value)}
    return found


def trained(
    starts: Sequence[Start], into: dict[str, History] | None = None, stops: bool = False
) -> dict[str, History]:
    """The history of every trial; asked to stop, at the first report of any of them."""
    found = {} if into is None else into
    for event in train(starts, should_stop=lambda: stops):
        found.setdefault(event.key, History()).add(event)
    return found


def interrupted(configs: Sequence[TrialConfig], folder: Path) -> dict[str, History]:
    """The history of a pack that is stopped, written to disk, read back and goes on."""
    found = trained([Start(config) for config in configs], stops=True)
    starts: list[Start] = []
    for config in configs:
        key = config.key()
        if found[key].outcome is None:
            (folder / key).mkdir()
            write_checkpoint(folder / key, found[key].saved[-1])
            saved, damaged = newest_checkpoint([folder / key], key)
            assert saved is not None
            assert not damaged
            starts.append(Start(config, saved))
    assert starts
    return trained(starts, found)


def assert_equal_to_the_bit(one: History, other: History) -> None:
    assert one.points == other.points
    assert one.outcome is not None
    assert other.outcome is not None
    assert (one.outcome.name, one.outcome.step) == (other.outcome.name, other.outcome.step)
    assert bits(one.outcome.metrics) == bits(other.outcome.metrics)
    assert json.dumps(one.outcome.details) == json.dumps(other.outcome.details)
    first, second = one.saved[-1], other.saved[-1]
    for name in ("weights", "first", "second"):
        assert torch.equal(first.tensors[name], second.tensors[name]), name
    assert first.numbers == second.numbers


def assert_metrics_are_those_promised(config: TrialConfig, found: History) -> None:
    """Every report has the same metrics, and with those of the outcome they are `metrics()`."""
    assert tuple(found.points) == config.report_steps
    assert found.outcome is not None
    assert found.outcome.name == "finished", found.outcome.reason
    first, *others = [set(point) for point in found.points.values()]
    assert all(other == first for other in others)
    once = set(found.outcome.metrics)
    assert not first & once
    missing = config.metrics() - first - once
    may_miss = config.task.conclusions() if isinstance(config.task, ConcludedTask) else ()
    assert missing <= set(may_miss)
    assert first | once <= config.metrics()
    values = [*found.points.values(), bits(found.outcome.metrics)]
    for name, value in ((name, float.fromhex(v)) for one in values for name, v in one.items()):
        # no answer reaches the place, or no example happens to be corrupted
        may_be_nan = name.startswith("loss_at_") or name.endswith(
            ("corrupted_accuracy", "recovered")
        )
        assert math.isfinite(value) or (may_be_nan and math.isnan(value)), (name, value)


def assert_answers_are_as_accurate_as_reported(config: TrialConfig, found: History) -> None:
    """The share of right answers is the accuracy, and a question typed again is the same one.

    A tiny model is seldom right; so the true tokens, too, must be read as the wanted answer.
    """
    saved = found.saved[-1]
    evaluation = config.evaluation
    count = evaluation.last_examples or evaluation.examples
    given = examples(config, saved, count)
    typed = replies(config, saved, [reply.question for reply in given])
    assert [reply.answer for reply in typed] == [reply.answer for reply in given]
    assert [reply.tokens for reply in typed] == [reply.tokens for reply in given]
    if isinstance(config.task, TokenTask):
        right = sum(reply.answer == reply.wanted for reply in given)
        assert right / count == float.fromhex(found.points[config.steps]["accuracy"])
        batch = held_out_batch([config], 0, count, torch.device("cpu"), config.task)
        assert isinstance(batch, TokenBatch)
        for tokens, reply in zip(batch.answer[0].tolist(), given, strict=True):
            values = config.writing().read(config.task, tokens)
            assert values is not None
            assert spelled(config.task, values) == reply.wanted


def test_the_rows_hold_every_kind_and_every_value_that_the_folders_offer() -> None:
    offered = [task_fields(), REGIMES, EXTRAS, optimizers()]
    offered += [choices(kind) for kind in (*ENCODINGS.values(), *MODELS.values())]
    held = {value for row in ROWS for value in offered_values(row.fields)}
    assert {value for one in offered for value in offered_values(one)} - held <= {".other"}


@pytest.mark.parametrize("task", task_fields(), ids=lambda task: task["kind"])
def test_what_a_task_asks_and_answers_is_read_back_in_every_encoding(task: Fields) -> None:
    one = TASKS[task["kind"]].model_validate(task, strict=False)
    if not isinstance(one, TokenTask):
        return
    index = torch.arange(3)
    written = 0
    for fields in encodings_of(one):
        assert fields is not None  # tokens need an encoding
        encoding = ENCODINGS[fields["kind"]].model_validate(fields)
        try:
            found = writing(encoding, None, (one,))
        except ValueError:  # it cannot write this task
            continue
        written += 1
        made = found.write(one, Draws(torch.tensor(3), index, TEST))
        assert made.question.shape == (3, found.shape.question)
        assert made.answer.shape == (3, found.shape.answer)
        assert int(torch.maximum(made.question.max(), made.answer.max())) < found.shape.vocabulary
        for question, answer in zip(made.question, made.answer.tolist(), strict=True):
            asked = found.asked.decode(one, question.tolist(), forms(one)[0])
            assert asked is not None
            assert torch.equal(found.ask(one, spelled(one, asked)), question)
            assert found.read(one, answer) is not None
    assert written


@pytest.mark.parametrize("row", [marked(row) for row in ROWS])
def test_a_trial_works_alone_in_a_pack_interrupted_and_asked(row: Row, tmp_path: Path) -> None:
    config = trial_config(row.fields)
    again = trial_config(json.loads(json.dumps(config.model_dump())))
    assert again == config
    assert again.key() == config.key()
    assert Layout(config.parameters()).used == config.cost().all_params
    alone = trained([Start(config)])[config.key()]
    assert_metrics_are_those_promised(config, alone)
    packed = interrupted(pack_of(config), tmp_path)[config.key()]
    assert_equal_to_the_bit(alone, packed)
    assert_answers_are_as_accurate_as_reported(config, alone)
