"""Test sets, training examples and losses, against what they are by definition."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.trials import gcd_trial, natural_loss, square_trial
from trainers.batches import (
    NumberBatch,
    TokenBatch,
    held_out_batch,
    relearned_batch,
    training_batch,
)
from trainers.config import TrialConfig
from trainers.data.encoding import PAD
from trainers.data.encodings.digits import Digits
from trainers.data.tasks.dyck import Dyck
from trainers.evaluate import report_metrics
from trainers.losses import training_loss
from trainers.models.model import TokenModel
from trainers.models.stack import Layout, Weights

CPU = torch.device("cpu")


def begun(*trials: TrialConfig) -> Weights:
    layout = Layout(trials[0].parameters())
    return layout.views(layout.start([trial.seed for trial in trials]))


def numbers(trial: TrialConfig, batch: Any) -> list[tuple[list[int] | None, list[int] | None]]:
    encoding = trial.encoding
    assert isinstance(encoding, Digits)
    return [
        (encoding.decode(question, (1, 1)), encoding.decode(answer, (1,)))
        for question, answer in zip(
            batch.question[0].tolist(), batch.answer[0].tolist(), strict=True
        )
    ]


def test_a_named_test_set_is_the_same_as_the_first_test_set_of_its_own_task() -> None:
    """Only the length of the sequences, which covers both tasks, can tell them apart."""
    model = {"kind": "transformer", "width": 16, "heads": 2, "position": {"kind": "rope"}}
    trial = gcd_trial(model=model, evaluate={"large": {"task": {"largest": 9_999}}})
    other = gcd_trial(model=model, task={"kind": "gcd", "largest": 9_999, "top_class": 5})
    (metrics,) = report_metrics(begun(trial), [trial], CPU, 300)
    (wanted,) = report_metrics(begun(other), [other], CPU, 300)
    assert metrics["large/test_loss"] == pytest.approx(wanted["test_loss"], rel=1e-5)
    assert metrics["large/accuracy"] == wanted["accuracy"]
    assert metrics["test_loss"] != metrics["large/test_loss"]
    assert metrics.keys() | {"loss"} <= trial.metrics()


def test_the_loss_by_place_adds_up_to_the_loss() -> None:
    trial = gcd_trial(evaluation={"points": 1, "examples": 64, "by_place": True})
    (metrics,) = report_metrics(begun(trial), [trial], CPU, 1_500)
    batch = held_out_batch([trial], 0, 1_500, CPU, trial.task)
    assert isinstance(batch, TokenBatch)
    reached = (batch.answer[0] != PAD).sum(dim=0).tolist()
    places = [metrics[f"loss_at_{place}"] for place in range(len(reached))]
    total = sum(loss * count for loss, count in zip(places, reached, strict=True) if count)
    assert total / sum(reached) == pytest.approx(metrics["test_loss"])
    assert all(math.isnan(loss) for loss, count in zip(places, reached, strict=True) if not count)


def test_training_examples_are_tested_with_the_answers_that_training_shows() -> None:
    trial = gcd_trial(
        data={"distinct": 64, "order": "cycle", "corrupt": 0.5},
        evaluation={"points": 1, "examples": 64, "training_examples": 64},
    )
    shown = training_batch([trial], [0], 8, CPU)
    assert isinstance(shown, TokenBatch)
    made = relearned_batch([trial], 0, 64, CPU)
    assert isinstance(made.shown, TokenBatch)
    assert torch.equal(made.shown.answer, shown.answer)
    (metrics,) = report_metrics(begun(trial), [trial], CPU, 64)
    loss = natural_loss(trial.model, begun(trial), shown)
    assert metrics["train/loss"] == pytest.approx(float(loss[0]), rel=1e-5)
    assert {"train/accuracy", "train/corrupted_accuracy", "train/recovered"} <= metrics.keys()
    assert metrics.keys() | {"loss"} <= trial.metrics()
    wrong = [
        math.gcd(*asked) != answer[0] for asked, answer in numbers(trial, shown) if asked and answer
    ]
    flagged = (made.corrupted[0] & (made.shown.answer != made.true.answer).any(dim=-1)[0]).tolist()
    assert wrong == flagged
    assert 5 < sum(wrong) < 40


def test_numbers_have_a_training_loss_too() -> None:
    trial = square_trial(
        data={"distinct": 20, "corrupt": 0.3}, evaluation={"points": 1, "training_examples": 20}
    )
    (metrics,) = report_metrics(begun(trial), [trial], CPU, 10)
    made = relearned_batch([trial], 0, 20, CPU)
    assert isinstance(made.shown, NumberBatch)
    assert metrics["train/loss"] == pytest.approx(
        float(natural_loss(trial.model, begun(trial), made.shown)[0])
    )
    assert set(metrics) == {"test_loss", "train/loss"}


def test_a_mixture_shows_each_task_with_its_share_and_its_own_answers() -> None:
    trial = gcd_trial(
        data={
            "mixture": [
                {"task": {"kind": "modular", "operation": "add", "modulus": 7}, "share": 0.25}
            ],
            "tagged": True,
        },
        batch_size=4_000,
    )
    batch = training_batch([trial], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    shape = trial.writing().shape
    tag = batch.question[0, :, 0] - (shape.vocabulary - 2)
    assert set(tag.tolist()) == {0, 1}
    share = float(tag.double().mean())
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 4_000) ** 0.5
    bare = TokenBatch(batch.question[..., 1:], batch.answer)
    for part, (asked, answer) in zip(tag.tolist(), numbers(trial, bare), strict=True):
        assert asked is not None
        assert answer == ([sum(asked) % 7] if part else [math.gcd(*asked)])


def test_a_stored_mixture_keeps_the_task_of_each_example() -> None:
    data = {"distinct": 30, "mixture": [{"task": {"largest": 3}, "share": 0.5}]}
    trial = gcd_trial(data=data, batch_size=2_000)
    batch = training_batch([trial], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    assert len(batch.question[0].unique(dim=0)) <= 30


def test_squared_error_is_that_of_one_hot_answers() -> None:
    trial = gcd_trial(loss="squared_error")
    batch = training_batch([trial], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    assert isinstance(trial.model, TokenModel)
    logits = trial.model.logits(begun(trial), batch.question, batch.answer)
    written = batch.answer != PAD
    wanted = F.mse_loss(logits[written], F.one_hot(batch.answer[written], logits.shape[-1]).float())
    found = training_loss(trial, begun(trial), batch)
    torch.testing.assert_close(found[0], wanted)


def test_the_auxiliary_loss_is_that_of_a_linear_head_at_the_places_with_a_target() -> None:
    trial = gcd_trial(auxiliary={"weight": 3.0})
    batch = training_batch([trial], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    assert isinstance(trial.model, TokenModel)
    weights = begun(trial)
    targets = torch.full(batch.answer.shape, torch.nan)
    targets[0, ::2, 1] = torch.arange(4.0)
    states = trial.model.states(weights, batch.question, batch.answer)
    predicted = states[0, ::2, 1] @ weights["auxiliary.weight"][0]
    wanted = F.mse_loss(predicted[:, 0], torch.arange(4.0))
    with_targets = TokenBatch(batch.question, batch.answer, targets)
    plain, found = (training_loss(trial, weights, one)[0] for one in (batch, with_targets))
    torch.testing.assert_close(found - plain, 3 * wanted)
    nothing = TokenBatch(batch.question, batch.answer, torch.full_like(targets, torch.nan))
    torch.testing.assert_close(training_loss(trial, weights, nothing)[0], plain)


def test_a_trial_in_a_pack_has_the_metrics_that_it_has_alone() -> None:
    trials = [
        gcd_trial(
            seed=seed,
            data={"corrupt": 0.2},
            evaluation={"points": 1, "training_examples": 32, "by_place": True},
            evaluate={"large": {"task": {"largest": 9_999}}},
        )
        for seed in range(3)
    ]
    together = report_metrics(begun(*trials), trials, CPU, 50)
    for trial, metrics in zip(trials, together, strict=True):
        (alone,) = report_metrics(begun(trial), [trial], CPU, 50)
        assert repr(alone) == repr(metrics)  # NaN equals itself


@pytest.mark.parametrize("counts", [0, 1, 700])
def test_a_measure_is_the_mean_of_the_answers_to_which_it_applies(monkeypatch, counts: int) -> None:
    """Over several forward passes; NaN where it applies to none."""
    task = {"kind": "dyck", "ask": "complete"}
    evaluation = {"points": 1, "examples": 4, "judged_examples": 1_500}
    encoding = {"kind": "characters"}
    trial = gcd_trial(task=task, encoding=encoding, evaluation=evaluation)
    values = [float(place) if place < counts else math.nan for place in range(1_500)][::-1]
    left = iter(values)

    def judge(self: Dyck, asked: Sequence[object], *_: object) -> dict[str, list[float]]:
        return {"right": [next(left) for _ in asked]}

    monkeypatch.setattr(Dyck, "judge", judge)
    (metrics,) = report_metrics(begun(trial), [trial], CPU, 4)
    assert next(left, None) is None
    if counts:
        assert metrics["right"] == pytest.approx((counts - 1) / 2, rel=1e-12)
    else:
        assert math.isnan(metrics["right"])
