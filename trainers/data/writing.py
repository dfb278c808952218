"""The tasks of a trial written in one vocabulary and at one length, and answers read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from trainers.data.compaction import compacted
from trainers.data.draws import TEST, Draws
from trainers.data.encoding import PAD, SPECIAL_TOKENS, Encoding
from trainers.data.script import Script, forms
from trainers.data.shape import TokenShape
from trainers.data.task import HOLE, IntegerTask, Numbers, Problems, RealTask, SymbolTask, TokenTask
from trainers.data.typed import spelled_symbols, typed_integers, typed_reals, typed_symbols
from trainers.schema import InputError, remembered, shown

_ASKED = 64  # questions that tell whether all have one length


@dataclass(frozen=True)
class Written:
    """Examples as tokens; `auxiliary` is a target for the token at the same place, NaN for none."""

    question: Int[Tensor, "*batch question"]
    answer: Int[Tensor, "*batch answer"]
    auxiliary: Float[Tensor, "*batch answer"] | None = None


@dataclass(frozen=True)
class Lengths:
    """Tokens of a question and of an answer, padding included."""

    question: int
    answer: int


@dataclass(frozen=True)
class Writing:
    """What the tasks of a trial share: scripts, lengths, and whether answers have an END.

    Tokens of answers come first in the vocabulary, then those of questions where they are written
    otherwise, then those that name the part of a mixture.
    """

    asked: Script
    answered: Script
    shape: TokenShape
    ends: bool
    tags: int  # the last tokens of the vocabulary; 0: no part is named

    def lengths(self, tasks: Sequence[TokenTask]) -> Lengths:
        """What suffices for these tasks alone."""
        sides = [(task, *forms(task)) for task in tasks]
        return Lengths(
            question=max(self.asked.length(task, form) for task, form, _ in sides)
            + (self.tags > 0),
            answer=max(self.answered.length(task, form) for task, _, form in sides) + self.ends,
        )

    def write(
        self, task: TokenTask, draws: Draws, lengths: Lengths | None = None, part: int = 0
    ) -> Written:
        """The examples of one of the tasks, padded to its own lengths unless others are given.

        `part` is the number of the task in the mixture.
        """
        if isinstance(task, IntegerTask):
            return self.write_problems(task, task.problems(draws), lengths, part)
        lengths = lengths or self.lengths([task])
        auxiliary = None
        if isinstance(task, RealTask):
            made = task.problems(draws)
        else:
            assert isinstance(task, SymbolTask)  # the last kind of task of tokens
            made = task.lines(draws)
            if made.auxiliary is not None:
                symbols = self.answered.symbols(task, made.answer, None)
                auxiliary = _beside(made.auxiliary, symbols, lengths.answer)
        question = self._question(task, made.question, lengths, part)
        answer = self._answer(task, made.answer, lengths)
        return Written(question, answer, auxiliary)

    def write_problems(
        self, task: IntegerTask, made: Problems, lengths: Lengths | None = None, part: int = 0
    ) -> Written:
        """These problems of one of the tasks."""
        lengths = lengths or self.lengths([task])
        question = self._question(task, made.question, lengths, part)
        return Written(question, self._answer(task, made.answer, lengths))

    def questions(
        self, task: SymbolTask, lines: Int[Tensor, "*batch place"]
    ) -> Int[Tensor, "*batch question"]:
        """Lines of symbols of one of the tasks as questions, of any length and without padding."""
        return self._tokens(task, lines, lines.shape[-1], 0)

    def ask(self, task: TokenTask, text: str) -> Int[Tensor, " question"]:
        """A question that a person typed: numbers between spaces, or the symbols as they are written.

        Raises:
            InputError: the task asks nothing so.

        """
        form, _ = forms(task)
        if isinstance(task, IntegerTask):
            values = torch.tensor(typed_integers(text, form))
        elif isinstance(task, RealTask):
            count = sum(torch.Size(size).numel() for size in form)
            values = torch.tensor(typed_reals(text, count), dtype=torch.float64)
        else:
            assert isinstance(task, SymbolTask)  # the last kind of task of tokens
            symbols = typed_symbols(text, task.alphabet(), form)
            _check_whole(task, text, symbols)
            values = torch.tensor(symbols)
        return self._question(task, values, self.lengths([task]), 0)

    def read(self, task: TokenTask, tokens: Sequence[int]) -> Numbers | None:
        """The numbers of an answer, or its symbols by their number in the task's own alphabet."""
        return self.answered.decode(task, tokens, forms(task)[1])

    def _question(self, task: TokenTask, values: Tensor, lengths: Lengths, part: int) -> Tensor:
        return _padded(self._tokens(task, values, forms(task)[0], part), lengths.question)

    def _tokens(self, task: TokenTask, values: Tensor, form: Any, part: int) -> Tensor:
        tokens = self.asked.encode(task, values, form)
        if self.asked is not self.answered:
            shift = self.answered.vocabulary - SPECIAL_TOKENS
            tokens = torch.where(tokens < SPECIAL_TOKENS, tokens, tokens + shift)
        if self.tags:
            tag = torch.full_like(tokens[..., :1], self.shape.vocabulary - self.tags + part)
            tokens = torch.cat([tag, tokens], dim=-1)
        return tokens

    def _answer(self, task: TokenTask, values: Tensor, lengths: Lengths) -> Tensor:
        encode = self.answered.encode_ended if self.ends else self.answered.encode
        return _padded(encode(task, values, forms(task)[1]), lengths.answer)


@remembered(128)  # asked for at every batch, and by thousands of trials of a sweep
def writing(
    encoding: Encoding,
    answer_encoding: Encoding | None,
    tasks: tuple[TokenTask, ...],
    *,
    tags: int = 0,
) -> Writing:
    """The vocabulary and the lengths that suffice for every one of these tasks.

    Raises:
        ValueError: an encoding cannot write one of them; the message begins with its place in a trial.

    """
    sides = [(task, *forms(task)) for task in tasks]
    place = "encoding"
    try:
        asked = Script.of(encoding, tasks)
        questions = {asked.length(task, form) for task, form, _ in sides}
        place = "encoding" if answer_encoding is None else "answer_encoding"
        answered = asked if answer_encoding is None else Script.of(answer_encoding, tasks)
        answers = {answered.length(task, form) for task, _, form in sides}
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    ends = len(answers) > 1 or not all(map(answered.answers_have_one_length, tasks))
    vocabulary = asked.vocabulary + tags
    if answer_encoding is not None:
        vocabulary += answered.vocabulary - SPECIAL_TOKENS
    shape = TokenShape(
        vocabulary=vocabulary,
        question=max(questions) + (tags > 0),
        answer=max(answers) + ends,
        spoken=None if answer_encoding is None else answered.vocabulary,
        digits=asked.digits() if answer_encoding is None else None,
    )
    return Writing(asked, answered, shape, ends, tags)


def spelled(task: TokenTask, values: Numbers) -> str:
    """Numbers or symbols of a task, for people."""
    if isinstance(task, SymbolTask):
        return spelled_symbols([int(value) for value in values], task.alphabet())
    if isinstance(task, IntegerTask):
        return " ".join(str(int(value)) for value in values)
    return " ".join(f"{value:.10g}" for value in values)  # what was read has fewer digits


def _check_whole(task: SymbolTask, text: str, symbols: Sequence[int]) -> None:
    """Refuse part of a question where all questions have one length.

    Raises:
        InputError: this one has another length.

    """
    first = Draws(torch.tensor(0), torch.arange(_ASKED), TEST)
    questions = task.lines(first).question
    if len(symbols) < questions.shape[-1] and not bool((questions == HOLE).any()):
        example = spelled_symbols(questions[0].tolist(), task.alphabet())
        raise InputError(
            f"expected {questions.shape[-1]} symbols, as in {example[:100]!r}, got {len(symbols)} in"
            f" {shown(text)}"
        )


def _beside(
    auxiliary: Float[Tensor, "*batch symbols"], symbols: Int[Tensor, "*batch symbols"], length: int
) -> Float[Tensor, "*batch length"]:
    """Targets moved up with their symbols where holes are left out, then NaN."""
    moved = compacted(auxiliary, symbols != HOLE, torch.nan)
    return F.pad(moved, (0, length - moved.shape[-1]), value=torch.nan)


def _padded(tokens: Int[Tensor, "*batch tokens"], length: int) -> Int[Tensor, "*batch length"]:
    short = length - tokens.shape[-1]
    return F.pad(tokens, (0, short), value=PAD) if short else tokens
