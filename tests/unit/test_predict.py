"""Asking a trained trial: answers as a person reads them."""

import io
import json
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.trials import gcd_fields, gcd_trial, square_trial
from trainers.batches import TokenBatch, held_out_batch
from trainers.config import TrialConfig, trial_config
from trainers.engine.pack import Start
from trainers.evaluate import report_metrics
from trainers.loop import train
from trainers.models.model import TokenModel
from trainers.models.stack import Layout
from trainers.predict import examples, replies
from trainers.result import Saved
from trainers.schema import InputError

SMALL = gcd_trial(
    task={"kind": "gcd", "largest": 12, "top_class": 3},
    optimizer={"kind": "adam", "lr": 1e-2},
    batch_size=32,
    budget={"steps": 200},
    evaluation={"points": 1, "examples": 50, "class_examples": 2},
)


def trained(trial: TrialConfig) -> Saved:
    return [event for event in train([Start(trial)]) if isinstance(event, Saved)][-1]


@pytest.fixture(scope="module")
def saved() -> Saved:
    return trained(SMALL)


def test_test_examples_are_answered_as_the_accuracy_says(saved: Saved) -> None:
    given = examples(SMALL, saved, 400)
    right = sum(reply.answer == reply.wanted for reply in given)
    weights = Layout(SMALL.parameters()).views(saved.tensors["weights"][None])
    (metrics,) = report_metrics(weights, [SMALL], torch.device("cpu"), 400)
    assert right / 400 == metrics["accuracy"] > 0.5
    for reply in given:
        assert reply.wanted == str(math.gcd(*map(int, reply.question.split())))


def test_a_typed_question_is_answered_as_the_same_question_of_the_test_set(saved: Saved) -> None:
    given = examples(SMALL, saved, 20)
    typed = replies(SMALL, saved, [reply.question for reply in given])
    assert [reply.answer for reply in typed] == [reply.answer for reply in given]
    assert all(reply.wanted is None for reply in typed)


def test_an_answer_is_the_greedy_one(saved: Saved) -> None:
    batch = held_out_batch([SMALL], 0, 5, torch.device("cpu"), SMALL.task)
    assert isinstance(batch, TokenBatch)
    assert isinstance(SMALL.model, TokenModel)
    weights = Layout(SMALL.parameters()).views(saved.tensors["weights"][None])
    tokens = SMALL.model.generate(weights, batch.question, batch.answer.shape[-1])
    assert [list(reply.tokens) for reply in examples(SMALL, saved, 5)] == tokens[0].tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12", "expected 2 integers, got 1"),
        ("12 a", "expected integers"),
        ("12 13", "magnitude up to 12"),
        ("", "expected 2 integers, got 0"),
    ],
)
def test_what_the_task_does_not_ask_is_refused(saved: Saved, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replies(SMALL, saved, [text])


def test_numbers_are_asked_and_answered_as_numbers() -> None:
    trial = square_trial()
    saved = trained(trial)
    (reply,) = replies(trial, saved, ["1.5"])
    assert reply.answer is not None
    assert math.isfinite(float(reply.answer))
    for example in examples(trial, saved, 5):
        assert example.wanted is not None
        assert float(example.wanted) == pytest.approx(float(example.question) ** 2, rel=1e-4)
    with pytest.raises(InputError, match="expected 1 numbers, got 2"):
        replies(trial, saved, ["1 2"])


def test_a_trial_of_the_ledger_is_asked_by_the_beginning_of_its_key(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    from sweeps.inspecting.predict import ask, prediction_document, show_predictions
    from sweeps.running.pack import train_pack
    from sweeps.storage.ledger import Ledger

    ledger = Ledger(tmp_path)
    for _ in train_pack(ledger, [SMALL], device="cpu", save_every_s=60.0, should_stop=bool):
        pass
    found = ask(ledger, SMALL.key()[:6], ["9 6"], 3)
    document = json.loads(json.dumps(prediction_document(found)))
    assert document["key"] == SMALL.key()
    assert document["answers"][0]["question"] == "9 6"
    screen = io.StringIO()
    show_predictions(ask(ledger, SMALL.key()[:6], [], 3), Console(file=screen))
    assert "of 3 exactly right" in screen.getvalue()
    with pytest.raises(InputError, match="begins none"):
        ask(ledger, "0123", ["9 6"], 3)
    with pytest.raises(InputError, match="hexadecimal"):
        ask(ledger, "../..", ["9 6"], 3)


def test_part_of_a_question_that_has_one_length_is_refused_with_an_example() -> None:
    cells = {"filler": "blank", "operands": 4, "answer": 5}
    fields = gcd_fields(
        task={"kind": "addition", "digits": [1, 3], "layout": {"cells": cells}},
        encoding={"kind": "characters"},
    )
    trial = trial_config(fields)
    state = trained(trial)
    with pytest.raises(InputError, match=r"expected 10 symbols, as in '.*=', got 6 in '12\+45='"):
        replies(trial, state, ["12+45="])
    (reply,) = replies(trial, state, ["  12+  45="])
    assert len(reply.tokens) == 5
