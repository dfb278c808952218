"""What example `i` is: the interface of a task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from trainers.data.draws import Draws
from trainers.data.material.automaton import Read
from trainers.data.sampling import Data
from trainers.schema import Frozen

Scores = Callable[[Int[Tensor, "line place"]], Float[Tensor, "line symbol"]]
"""Logits of all symbols of a task as the answer to lines of its symbols."""


HOLE = -1
"""In `Lines`: no symbol here; what follows moves up when the line is written."""


@dataclass(frozen=True)
class Problems:
    """Integer questions with their answers."""

    question: Int[Tensor, "*batch asked"]
    answer: Int[Tensor, "*batch answered"]


@dataclass(frozen=True)
class RealProblems:
    """Questions and answers of real numbers, all arrays of a question end to end, row by row."""

    question: Float[Tensor, "*batch asked"]
    answer: Float[Tensor, "*batch answered"]


@dataclass(frozen=True)
class Lines:
    """Questions and answers as symbols, each by its number in the task's alphabet, or HOLE.

    `auxiliary` holds a real number for a symbol of the answer, NaN for none: the target of the
    regression head where a trial has one.
    """

    question: Int[Tensor, "*batch asked"]
    answer: Int[Tensor, "*batch answered"]
    auxiliary: Float[Tensor, "*batch answered"] | None = None


@dataclass(frozen=True)
class Samples:
    """Real inputs with their targets."""

    inputs: Float[Tensor, "*batch inputs"]
    targets: Float[Tensor, "*batch outputs"]


@dataclass(frozen=True)
class Bounds:
    """The largest magnitude that each number of a question and of an answer can have."""

    question: tuple[int, ...]
    answer: tuple[int, ...]


Numbers = Sequence[int | float]
"""A question or an answer as plain numbers: integers, reals, or symbols by their number."""

Sizes = tuple[tuple[int, ...], ...]
"""The dimensions of each array: ((5, 5), (5,)) is a 5 x 5 matrix and a vector of 5."""


class Task(Frozen, ABC):
    """A source of examples. A subclass is one of those below."""

    kind: Any  # a subclass says Literal[its file's name]


class TokenTask(Task, ABC):
    """Questions and answers are written as tokens by an encoding."""


class IntegerTask(TokenTask, ABC):
    """Questions and answers are a fixed count of integers within 63 bits."""

    @abstractmethod
    def problems(self, draws: Draws) -> Problems:
        """The examples that these draws decide."""

    @abstractmethod
    def bounds(self) -> Bounds:
        """How large the numbers can be; decides the length of a sequence."""


class RealTask(TokenTask, ABC):
    """Questions and answers are arrays of real numbers."""

    @abstractmethod
    def problems(self, draws: Draws) -> RealProblems:
        """The examples that these draws decide, in float64."""

    @abstractmethod
    def sizes(self) -> tuple[Sizes, Sizes]:
        """Dimensions of the arrays of a question, and of those of an answer."""


class SymbolTask(TokenTask, ABC):
    """Questions and answers are lines of symbols: digits and signs, or elements of a group."""

    @abstractmethod
    def alphabet(self) -> tuple[str, ...]:
        """How each symbol is spelled, no two alike; a decimal digit is spelled as itself."""

    @abstractmethod
    def lines(self, draws: Draws) -> Lines:
        """The examples that these draws decide."""

    @abstractmethod
    def lengths(self) -> tuple[int, int]:
        """Places of a question and of an answer in `lines`, holes included."""

    @abstractmethod
    def answers_have_one_length(self) -> bool:
        """Whether no answer ever has a hole; then it needs no end token."""


class StagedTask(SymbolTask, ABC):
    """A task that may change as training goes on: its examples follow their index."""

    @abstractmethod
    def by_index(self) -> bool:
        """Whether it does; then each index may be shown only once, and in order."""


class ClassedTask(IntegerTask, ABC):
    """A task whose examples fall into classes, and whose theory speaks of the classes learned."""

    @abstractmethod
    def classes(self) -> tuple[int, ...]:
        """The classes on which a trial is tested one by one; a class is named by its answer."""

    @abstractmethod
    def problems_of(self, classes: Int[Tensor, "*batch"], draws: Draws) -> Problems:
        """One example of each given class."""

    @abstractmethod
    def theory(self, learned: frozenset[int], modal: Mapping[int, int]) -> dict[str, float]:
        """Metrics that theory gives from the classes learned and the modal answer of each class."""


@dataclass(frozen=True)
class Finished:
    """A finished trial, as the theory of its task sees it."""

    weights: Mapping[str, Tensor]  # of this trial alone
    rates: Callable[[], Float[Tensor, " step"]]  # learning rate of every step, in float64
    seed: int
    data: Data
    metrics: Mapping[str, float]  # of its last report
    read: Read | None = None  # where the state after a question is all that the model keeps of it
    scores: Scores | None = None  # of a task of symbols whose answers are one symbol


class ConcludedTask(Task, ABC):
    """A task with more to say of a finished trial: a theory's prediction, a phase."""

    @abstractmethod
    def conclusions(self) -> tuple[str, ...]:
        """Names of the metrics that `conclude` may give."""

    @abstractmethod
    def conclude(self, finished: Finished) -> tuple[dict[str, float], dict[str, Any]]:
        """Metrics and details of the outcome; those that this model has no weights for are left out."""


class JudgedTask(TokenTask, ABC):
    """A task whose answers are judged, because several are right or nearly right ones count."""

    @abstractmethod
    def measures(self) -> tuple[str, ...]:
        """Names of the measures of `judge`."""

    @abstractmethod
    def judge(
        self,
        asked: Sequence[Numbers],
        wanted: Sequence[Numbers],
        given: Sequence[Numbers | None],
    ) -> dict[str, list[float]]:
        """Each measure of each answer; a trial's metric is the mean over those that are not NaN.

        Numbers are those of the task (integers, reals, symbols without holes); None is an answer
        that no encoding writes, which every measure must count as wrong, never leave out. NaN is for
        an answer of which a measure says nothing: a right one, where it is about wrong ones.
        """


class NumberTask(Task, ABC):
    """Inputs and targets are vectors of real numbers."""

    @abstractmethod
    def samples(self, draws: Draws) -> Samples:
        """The examples that these draws decide, in float64."""

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Length of an input and of a target."""


def measured_often(task: Any) -> frozenset[str]:
    """Names of the metrics of a test set of this task, at every report."""
    names = {"test_loss"}
    if isinstance(task, TokenTask):
        names |= {"accuracy"}
    if isinstance(task, JudgedTask):
        names |= {*task.measures()}
    return frozenset(names)


def measured_once(task: Any) -> frozenset[str]:
    """Names of the metrics that only the outcome of a trial of this task has."""
    if isinstance(task, ClassedTask):
        return frozenset({"classes_learned", "modal_share", *task.theory(frozenset(), {})})
    return frozenset(task.conclusions() if isinstance(task, ConcludedTask) else ())
