"""Ask a trial of the ledger for answers: what its newest checkpoint gives to a question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweeps.inspecting.stored import stored_trial
from sweeps.storage.ledger import Ledger
from trainers.checkpoint import newest_checkpoint
from trainers.config import TrialConfig
from trainers.machine import prepare
from trainers.predict import Reply, examples, replies
from trainers.schema import InputError


@dataclass(frozen=True)
class Predictions:
    """What a trial answered, and how far it was trained."""

    config: TrialConfig
    step: int
    replies: tuple[Reply, ...]


def ask(ledger: Ledger, key: str, questions: Sequence[str], count: int) -> Predictions:
    """The answers to these questions, or to `count` of the trial's own test examples.

    Raises:
        InputError: there is no such trial, nothing of it is trained, or its task asks nothing so.
    """
    folder, config = stored_trial(ledger, key)
    saved, _ = newest_checkpoint(folder.attempts(), config.key())
    if saved is None:
        raise InputError(f"{key}: expected a trial with a checkpoint, got none that can be read")
    prepare()
    given = replies(config, saved, questions) if questions else examples(config, saved, count)
    return Predictions(config, saved.step, tuple(given))


def prediction_document(predictions: Predictions) -> dict[str, Any]:
    """What `predict --json` prints."""
    return {
        "key": predictions.config.key(),
        "step": predictions.step,
        "answers": [
            {
                "question": reply.question,
                "answer": reply.answer,
                "tokens": list(reply.tokens),
                **({} if reply.wanted is None else {"wanted": reply.wanted}),
            }
            for reply in predictions.replies
        ],
    }


def show_predictions(predictions: Predictions, console: Console) -> None:
    """One line for each question; test examples with their true answers, and how many are right."""
    config = predictions.config
    trained = f"{predictions.step:,} of {config.steps:,} steps"
    console.print(f"{config.key()}  {config.task.kind}, {trained}", style="dim", highlight=False)
    with_truth = any(reply.wanted is not None for reply in predictions.replies)
    table = Table(
        "question", "answer", *(["wanted"] if with_truth else []), box=None, pad_edge=False
    )
    for reply in predictions.replies:
        answer = "no answer of this task" if reply.answer is None else reply.answer
        right = reply.wanted is None or reply.answer == reply.wanted
        row = [reply.question, answer, *([reply.wanted] if reply.wanted is not None else [])]
        table.add_row(*map(escape, row), style=None if right else "red")
    console.print(table)
    if with_truth:
        right = sum(reply.answer == reply.wanted for reply in predictions.replies)
        console.print(f"{right} of {len(predictions.replies)} exactly right", highlight=False)
