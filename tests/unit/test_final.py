"""What is said of a trial once it has finished."""

from typing import Any

import pytest

from trainers.config import TrialConfig, trial_config
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Ended, Outcome, Reported


def ended(trial: TrialConfig) -> tuple[Outcome, dict[str, float]]:
    """The outcome, and the metrics of the last report."""
    events = list(train([Start(trial)]))
    (outcome,) = [event.outcome for event in events if isinstance(event, Ended)]
    return outcome, [event.point.values for event in events if isinstance(event, Reported)][-1]


def corrupted(**changes: Any) -> TrialConfig:
    fields: dict[str, Any] = {
        "task": {"kind": "corrupted_modular", "modulus": 11, "train_share": 0.8},
        "encoding": {"kind": "characters"},
        "data": {"distinct": 97, "order": "cycle", "corrupt": 0.3},
        "model": {"kind": "classifier", "width": 48, "activation": "quadratic"},
        "loss": "squared_error",
        "optimizer": {"kind": "adamw", "lr": 0.02, "weight_decay": 0.0},
        "batch_size": 97,
        "budget": {"steps": 60},
        "evaluation": {
            "points": 2,
            "examples": 24,
            "training_examples": 97,
            "prune": [0.25, 1 / 3],
        },
    }
    return trial_config(fields | changes)


def test_a_corrupted_trial_names_its_phase_and_is_pruned() -> None:
    trial = corrupted()
    outcome, last = ended(trial)
    assert outcome.details["phase"] == "memorization"
    assert last["train/accuracy"] > 0.9 > last["accuracy"]
    assert {"pruned_25/accuracy", "pruned_25/train_accuracy"} <= outcome.metrics.keys()
    assert outcome.metrics.keys() | last.keys() == trial.metrics()
    assert last.keys() == trial.curves()


def test_pruning_nothing_of_weight_changes_nothing() -> None:
    """A share that rounds to no neuron leaves the last report as it was."""
    evaluation = {"points": 2, "examples": 24, "training_examples": 97, "prune": [0.001]}
    outcome, last = ended(corrupted(evaluation=evaluation))
    assert outcome.metrics["pruned_0_1/accuracy"] == last["accuracy"]
    assert (
        outcome.metrics["pruned_0_1/train_corrupted_accuracy"] == last["train/corrupted_accuracy"]
    )


def test_the_closed_form_of_random_features_is_what_training_comes_to() -> None:
    trial = trial_config(
        {
            "task": {"kind": "random_features", "modes": 40},
            "data": {"distinct": 400, "order": "cycle"},
            "model": {"kind": "random_features", "width": 10},
            "optimizer": {"kind": "sgd", "lr": 0.05},
            "batch_size": 400,
            "budget": {"steps": 100},
            "evaluation": {"points": 2, "examples": 40_000},
        }
    )
    outcome, last = ended(trial)
    assert last["test_loss"] == pytest.approx(outcome.metrics["closed_form_loss"], rel=0.05)
    assert outcome.metrics.keys() | last.keys() == trial.metrics()
    assert last.keys() == trial.curves()


def test_an_autoencoder_says_how_many_features_it_represents() -> None:
    trial = trial_config(
        {
            "task": {"kind": "superposition", "features": 20},
            "model": {"kind": "autoencoder", "width": 4},
            "optimizer": {"kind": "adamw_unit_rows", "lr": 0.02},
            "batch_size": 64,
            "budget": {"steps": 200},
            "evaluation": {"points": 1, "examples": 100},
        }
    )
    outcome, last = ended(trial)
    assert outcome.metrics == {"represented_share": 1.0, "left_out_loss": 0.0}
    assert outcome.metrics.keys() | last.keys() == trial.metrics()
    assert last.keys() == trial.curves()


def test_another_model_leaves_the_theory_out() -> None:
    for task in ({"kind": "superposition", "features": 6}, {"kind": "random_features", "modes": 6}):
        trial = trial_config(
            {
                "task": task,
                "model": {"kind": "mlp", "width": 4},
                "budget": {"steps": 3},
                "evaluation": {"points": 1, "examples": 10},
            }
        )
        outcome, _ = ended(trial)
        assert outcome.metrics == {}
