"""TrialConfig: everything that decides the result of one trial, and the key that names it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from trainers import models
from trainers.data import encodings, tasks
from trainers.data.encoding import Encoding
from trainers.data.sampling import Data
from trainers.data.shape import NumberShape, Shape, TokenShape
from trainers.data.task import (
    NumberTask,
    StagedTask,
    Task,
    TokenTask,
    measured_often,
    measured_once,
)
from trainers.data.writing import Writing, writing
from trainers.flops import Cost, with_head
from trainers.models.model import Model, NumberModel, Prunable, TokenModel
from trainers.models.stack import Parameter
from trainers.optim import Adam, Optimizer
from trainers.plugins import union
from trainers.schema import Frozen, InputError, first_problem, remembered, spelled

NUMERICS = 3
"""Raised when a config may give other bits than before: old results keep their old keys."""

EVERY_TRIAL_REPORTS = frozenset({"loss"})


def loss_at(place: int) -> str:
    """The metric of the loss at one place of the answer, counted from 0."""
    return f"loss_at_{place}"


def without(share: float) -> str:
    """What the metrics of a pruned model begin with."""
    return f"pruned_{100 * share:g}".replace(".", "_")


if TYPE_CHECKING:
    AnyTask = Task
    AnyEncoding = Encoding
    AnyModel = Model
else:
    AnyTask = union(tasks, Task)
    AnyEncoding = union(encodings, Encoding)
    AnyModel = union(models, Model)


_TASKS: TypeAdapter[Any] = TypeAdapter(AnyTask)


class Budget(Frozen):
    """How long a trial trains, in optimizer steps or in examples shown: exactly one of the two."""

    steps: int | None = Field(default=None, ge=1, le=10**10)
    examples: int | None = Field(default=None, ge=1, le=10**14)

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        if (self.steps is None) == (self.examples is None):
            raise ValueError("expected exactly one of steps and examples")
        return self


class Evaluation(Frozen):
    """How often a trial is tested, on how many examples that it never trains on.

    `training_examples` are tested as well, with the answers that training shows. `by_place` adds the
    loss at every place of the answer. `prune` are shares of the neurons that are left out of a model
    once at its end, the least important first.
    """

    points: int = Field(default=20, ge=1, le=10_000)  # reports, evenly spaced over the budget
    examples: int = Field(default=2_000, ge=1, le=10**8)
    last_examples: int | None = Field(default=None, ge=1, le=10**8)  # at the end; null: the same
    class_examples: int = Field(default=20, ge=1, le=10**6)  # of each class, once at the end
    judged_examples: int = Field(
        default=200, ge=1, le=10**6
    )  # answers that are generated and judged
    training_examples: int = Field(default=0, ge=0, le=10**8)
    by_place: bool = False
    prune: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(), max_length=20)


def steps_of(budget: Budget, batch_size: int) -> int:
    """Optimizer steps of a budget."""
    if budget.steps is not None:
        return budget.steps
    assert budget.examples is not None  # Budget holds exactly one of the two
    return -(-budget.examples // batch_size)


def check_points(evaluation: Evaluation, steps: int) -> None:
    """Refuse more reports than there are steps.

    Raises:
        ValueError: there are more; the message begins with their place in the trial.

    """
    if evaluation.points > steps:
        raise ValueError(
            f"evaluation.points: expected at most as many as there are steps, {steps}, got"
            f" {evaluation.points}"
        )


class TestSet(Frozen):
    """One more test set: the trial's task with some fields changed."""

    __test__ = False  # no class of tests, whatever its name says

    task: dict[str, Any] = Field(min_length=1)


class Auxiliary(Frozen):
    """A second loss: a linear head predicts the task's own real number at places of the answer.

    The loss is the mean squared error over the places that have a target, times `weight`.
    """

    weight: float = Field(gt=0, le=1e6)


TestName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class TrialConfig(Frozen):
    """One trial, resolved: equal configs give equal bits in any pack and any worker."""

    task: AnyTask
    encoding: AnyEncoding | None = None
    answer_encoding: AnyEncoding | None = None  # null: answers are written as questions are
    data: Data = Data()
    model: AnyModel
    loss: Literal["cross_entropy", "squared_error"] | None = None  # null: what suits the task
    auxiliary: Auxiliary | None = None
    optimizer: Optimizer = Adam()
    batch_size: int = Field(default=128, ge=1, le=10**7)
    precision: Literal["float32", "bfloat16"] = "float32"  # of products; weights are float32
    budget: Budget
    evaluation: Evaluation = Evaluation()
    evaluate: dict[TestName, TestSet] = Field(default={}, max_length=50)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _fits_together(self) -> "TrialConfig":
        if isinstance(self.task, TokenTask):
            self._check_tokens()
        else:
            self._check_numbers()
        check_points(self.evaluation, steps_of(self.budget, self.batch_size))
        misfit = _misfit(self.model, self.shape())
        if misfit is not None:
            raise ValueError(f"model: {misfit}")
        if self.evaluation.prune and not isinstance(self.model, Prunable):
            raise ValueError(
                f"evaluation.prune: expected a model that can be pruned, got {self.model.kind}"
            )
        for name in sorted({"train", "final"} & self.evaluate.keys()):
            raise ValueError(f"evaluate.{name}: expected another name, this one is taken")
        return self

    def _check_tokens(self) -> None:
        if self.encoding is None:
            raise ValueError(
                f"encoding: expected an encoding, since {self.task.kind} is written as tokens"
            )
        if not isinstance(self.model, TokenModel):
            raise ValueError(
                f"model: expected a model of tokens for {self.task.kind}, got {self.model.kind}"
            )
        for place, task in self._placed_tasks():
            if not isinstance(task, TokenTask):
                raise ValueError(
                    f"{place}: expected a task of tokens beside {self.task.kind}, got {task.kind}"
                )
            if isinstance(task, StagedTask) and task.by_index() and self.data != Data():
                raise ValueError(
                    f"data: expected fresh data where the {task.kind} changes as training goes on"
                )
        self.writing()  # refuses an encoding that cannot write the tasks

    def _check_numbers(self) -> None:
        if not isinstance(self.model, NumberModel):
            raise ValueError(
                f"model: expected a model of numbers for {self.task.kind}, got {self.model.kind}"
            )
        of_tokens = {
            "encoding: expected none": self.encoding,
            "answer_encoding: expected none": self.answer_encoding,
            "loss: expected no cross_entropy": self.loss == "cross_entropy",
            "auxiliary: expected none": self.auxiliary,
            "data.tagged: expected no tags": self.data.tagged,
            "evaluation.by_place: expected false": self.evaluation.by_place,
        }
        for expected, given in of_tokens.items():
            if given:
                raise ValueError(f"{expected}, since {self.task.kind} is about numbers, not tokens")
        assert isinstance(self.task, NumberTask)  # the other kind of task
        sizes = self.task.sizes()
        for place, task in self._placed_tasks():
            if not isinstance(task, NumberTask) or task.sizes() != sizes:
                raise ValueError(
                    f"{place}: expected a task of numbers with the sizes {sizes} of"
                    f" {self.task.kind}, got {task.kind}"
                )

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole budget."""
        return steps_of(self.budget, self.batch_size)

    @property
    def examples(self) -> int:
        """Examples shown over the whole budget."""
        return self.steps * self.batch_size

    @property
    def report_steps(self) -> tuple[int, ...]:
        """The steps after which the trial reports; the last one is the last step."""
        points = self.evaluation.points
        return tuple(self.steps * point // points for point in range(1, points + 1))

    def parts(self) -> tuple[Task, ...]:
        """The tasks of training: its own, those of the mixture, and the priming task last."""
        return self.task, *_changed(self.task, json.dumps(self._changes_of_parts()))

    def test_tasks(self) -> dict[str, Task]:
        """The task of each test set beside the first, by its name."""
        tasks = _changed(self.task, json.dumps(self._changes_of_tests()))
        return dict(zip(self.evaluate, tasks, strict=True))

    def _changes_of_parts(self) -> list[tuple[str, dict[str, Any]]]:
        """Where in the trial the task is changed for another part of training, and how."""
        changes = [
            (f"data.mixture[{n}].task", part.task) for n, part in enumerate(self.data.mixture)
        ]
        prime = self.data.prime
        return changes if prime is None else [*changes, ("data.prime.task", prime.task)]

    def _changes_of_tests(self) -> list[tuple[str, dict[str, Any]]]:
        """Where in the trial the task is changed for another test set, and how."""
        return [(f"evaluate.{name}.task", one.task) for name, one in self.evaluate.items()]

    def _placed_tasks(self) -> list[tuple[str, Task]]:
        """Every task with its place in the trial."""
        changes = [*self._changes_of_parts(), *self._changes_of_tests()]
        places = ["task", *(place for place, _ in changes)]
        tasks = [*self.parts(), *self.test_tasks().values()]
        return list(zip(places, tasks, strict=True))

    def writing(self) -> Writing:
        """How the tasks of a trial of tokens are written.

        Raises:
            ValueError: the encoding cannot write one of them.

        """
        assert self.encoding is not None  # checked above
        every = [*self.parts(), *self.test_tasks().values()]
        tasks = [task for task in every if isinstance(task, TokenTask)]
        tags = len(self.parts()) if self.data.tagged else 0
        return writing(self.encoding, self.answer_encoding, tuple(tasks), tags=tags)

    def shape(self) -> Shape:
        """What flows through the model."""
        if isinstance(self.task, NumberTask):
            inputs, outputs = self.task.sizes()
            return NumberShape(inputs=inputs, outputs=outputs)
        return self.writing().shape

    def training_shape(self) -> Shape:
        """What flows through the model in training, where no longer test set is asked."""
        shape = self.shape()
        if isinstance(shape, NumberShape):
            return shape
        parts = [task for task in self.parts() if isinstance(task, TokenTask)]
        lengths = self.writing().lengths(parts)
        return replace(shape, question=lengths.question, answer=lengths.answer)

    def parameters(self) -> tuple[Parameter, ...]:
        """What the trial trains: the parameters of its model, and the auxiliary head."""
        own = self.model.parameters(self.shape())
        if self.auxiliary is None:
            return own
        assert isinstance(self.model, TokenModel)  # checked above
        size = self.model.state_size()
        return (*own, Parameter("auxiliary.weight", (size, 1), "normal", size**-0.5))

    def cost(self) -> Cost:
        """Parameters, and FLOPs of an example."""
        shape, trained_on = self.shape(), self.training_shape()
        cost = _cost(self.model, shape)
        if shape != trained_on:  # longer test sets give parameters, but no FLOPs of training
            cost = replace(cost, flops=_cost(self.model, trained_on).flops)
        if self.auxiliary is None:
            return cost
        assert isinstance(self.model, TokenModel)  # checked above
        assert isinstance(trained_on, TokenShape)
        return with_head(cost, self.model.state_size(), trained_on.answer)

    def tokens_of_example(self) -> int:
        """Tokens of one training example, padding included."""
        return self.training_shape().tokens

    def metrics(self) -> frozenset[str]:
        """Names of the metrics that this trial reports, as it trains or with its outcome."""
        names = self.curves() | measured_once(self.task)
        shown = {name.replace("/", "_") for name in names if name.startswith("train/")}
        pruned = measured_often(self.task) | shown
        return names | {
            f"{without(share)}/{metric}" for share in self.evaluation.prune for metric in pruned
        }

    def curves(self) -> frozenset[str]:
        """Names of the metrics that this trial reports as it trains."""
        names = EVERY_TRIAL_REPORTS | measured_often(self.task)
        for name, task in self.test_tasks().items():
            names |= {f"{name}/{metric}" for metric in measured_often(task)}
        if self.evaluation.by_place:
            assert isinstance(self.task, TokenTask)  # checked above
            places = self.writing().lengths([self.task]).answer
            names |= {loss_at(place) for place in range(places)}
        shown = {"train/loss"} if self.evaluation.training_examples else set[str]()
        if shown and isinstance(self.task, TokenTask):
            shown |= {"train/accuracy"}
            shown |= {"train/corrupted_accuracy", "train/recovered"} if self.data.corrupt else set()
        return names | shown

    def key(self) -> str:
        """The name of the trial: 20 hexadecimal digits of the hash of what decides its result."""
        text = json.dumps([NUMERICS, self.deciding_fields()], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def stacks_with(self) -> str:
        """What is equal for the trials of a pack: all but what a pack holds for each."""
        own: dict[str, Any] = {
            "seed": 0,
            "data": self.data.model_copy(update={"distinct": None, "hot": None, "corrupt": 0.0}),
            "optimizer": self.optimizer.kind,
            "budget": None,
        }
        return json.dumps(self.model_copy(update=own).deciding_fields(), sort_keys=True)

    def deciding_fields(self) -> dict[str, Any]:
        """What decides the result, as plain data: the fields that differ from their default."""
        fields = deciding(self)
        _, *others = self.parts()  # how a changed task is spelled decides nothing
        if self.data.prime is not None:
            fields["data"]["prime"]["task"] = deciding(others[-1])
        for number in range(len(self.data.mixture)):
            fields["data"]["mixture"][number]["task"] = deciding(others[number])
        for name, task in self.test_tasks().items():
            fields["evaluate"][name]["task"] = deciding(task)
        return fields


def trial_config(fields: Mapping[str, Any]) -> TrialConfig:
    """Validate plain fields.

    Raises:
        InputError: they are not a trial; the message begins with the dotted path of the field.

    """
    try:
        text = json.dumps(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"expected texts, numbers, lists and mappings: {error}") from error
    try:
        return TrialConfig.model_validate_json(text)
    except ValidationError as error:
        place, words = first_problem(error, fields)
        raise InputError(f"{spelled(place)}: {words}" if place else words) from error


def deciding(value: Any) -> Any:
    """Plain data with the fields that differ from their default, and every `kind`.

    A field that is added later with a neutral default therefore changes no key.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: deciding(getattr(value, name))
            for name, field in fields.items()
            if name == "kind" or field.is_required() or getattr(value, name) != field.default
        }
    if isinstance(value, dict):
        return {name: deciding(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [deciding(item) for item in value]
    if isinstance(value, float):
        return value + 0.0  # minus zero and zero are one value
    return value


@remembered(256)  # a sweep asks the same of thousands of trials
def _changed(task: Task, changes: str) -> tuple[Task, ...]:
    """The task with some fields changed, or another task where they name a kind.

    `changes` are pairs of a place in the trial and the fields, as JSON.

    Raises:
        ValueError: they make no task; the message begins with their place in the trial.

    """
    return tuple(_one_changed(task, fields, place) for place, fields in json.loads(changes))


def _one_changed(task: Task, fields: Mapping[str, Any], place: str) -> Task:
    same = fields.get("kind", task.kind) == task.kind
    whole = {**task.model_dump(), **fields} if same else dict(fields)
    try:
        return _TASKS.validate_json(json.dumps(whole))
    except ValidationError as error:
        where, words = first_problem(error, whole)
        inside = f"{place}.{spelled(where)}" if where else place
        raise ValueError(f"{inside}: {words}") from error


@remembered(1_024)
def _misfit(model: Model, shape: Shape) -> str | None:
    """Why the model cannot have this shape; None: it can."""
    try:
        model.parameters(shape)
    except ValueError as error:
        return str(error)
    return None


@remembered(1_024)
def _cost(model: Model, shape: Shape) -> Cost:
    return model.cost(shape)
