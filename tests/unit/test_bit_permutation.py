"""Ensembles of infinitely wide networks that permute bits, against finite ones and plain algebra."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from trainers.config import trial_config
from trainers.data.draws import TEST, TRAIN, Draws
from trainers.data.material.ntk_ensembles import (
    covariance,
    exactness,
    kernels,
    member,
    member_loss,
    nonzero,
    shares,
    smallest_for_all,
    smallest_for_one,
    smallest_for_typical,
)
from trainers.data.tasks.bit_permutation import BitPermutation
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Ended, Reported


def untrained_networks(bits: int, width: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of networks before training, from another generator."""
    random = np.random.default_rng(7)
    return random.standard_normal((count, bits, width)), random.standard_normal((count, width))


@pytest.mark.parametrize("cosine", [0.0, 0.3, 2**-0.5, 1.0])
def test_kernels_are_the_mean_products_of_outputs_and_of_gradients_of_random_networks(
    cosine: float,
) -> None:
    x, y = np.array([1.0, 0.0]), np.array([cosine, math.sqrt(1 - cosine**2)])
    first, last = untrained_networks(2, 400_000, 1)
    into_x, into_y = x @ first[0], y @ first[0]
    hidden = np.maximum(into_x, 0) * np.maximum(into_y, 0)
    gates = (into_x > 0) * (into_y > 0) * last[0] ** 2 * cosine
    found = kernels(torch.tensor(cosine, dtype=torch.float64))
    assert float(found.untrained) == pytest.approx(hidden.mean(), abs=0.006)
    assert float(found.tangent) == pytest.approx((hidden + gates).mean(), abs=0.012)


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_the_process_by_weight_is_that_of_plain_kernel_regression(bits: int) -> None:
    inputs = nonzero(bits)
    unit = inputs.double() / inputs.double().norm(dim=-1, keepdim=True)
    basis = torch.eye(bits, dtype=torch.float64)
    taught = kernels(unit @ basis).tangent @ kernels(basis).tangent.inverse()
    by_weight, ones = member(bits), inputs.sum(dim=-1)
    wanted = torch.where(inputs, by_weight.one[ones - 1, None], by_weight.zero[ones - 1, None])
    torch.testing.assert_close(taught, wanted)
    variance = covariance(inputs).diagonal().clamp(min=0.0)
    torch.testing.assert_close(variance.sqrt(), by_weight.deviation[ones - 1], atol=1e-7, rtol=0)


@pytest.mark.parametrize("bits", [3, 10, 62])
def test_the_mean_has_the_right_sign_for_every_weight_and_training_examples_are_exact(
    bits: int,
) -> None:
    each = member(bits)
    assert bool((each.one > 0).all())
    assert bool((each.zero[1:-1] < 0).all())
    assert float(each.one[0]) == pytest.approx(1)
    assert float(each.zero[0]) == pytest.approx(0, abs=1e-12)
    assert float(each.deviation[0]) == pytest.approx(0, abs=1e-7)


def test_the_smallest_ensemble_for_one_input_is_exact_and_one_member_less_is_not() -> None:
    for bits in (3, 8, 30):
        members = smallest_for_one(bits, 0.99)
        assert (
            float(exactness(bits, members).min())
            >= 0.99
            > float(exactness(bits, members - 1).min())
        )
        typical = smallest_for_typical(bits, 0.99)
        assert float(shares(bits) @ exactness(bits, typical)) >= 0.99
        assert typical <= members


def test_ensembles_drawn_directly_are_exact_on_all_inputs_as_often_as_was_asked() -> None:
    bits, confidence = 4, 0.8
    members = smallest_for_all(bits, confidence, seed=3)
    inputs = nonzero(bits)
    inputs = inputs[inputs.sum(dim=-1) > 1]
    each, ones = member(bits), inputs.sum(dim=-1)
    mean = torch.where(inputs, each.one[ones - 1, None], each.zero[ones - 1, None]).numpy()
    random = np.random.default_rng(5)
    spread = covariance(inputs).numpy() / members
    noise = random.multivariate_normal(np.zeros(len(inputs)), spread, (4_000, bits))
    right = ((mean[None] + noise.transpose(0, 2, 1) > 0) == inputs.numpy()[None]).all(axis=(1, 2))
    # 1,000 ensembles know a share of 0.8 to 0.013, and 4,000 to 0.006
    assert right.mean() == pytest.approx(confidence, abs=0.05)
    assert members >= smallest_for_one(bits, confidence)


def test_training_sees_the_basis_vectors_and_tests_see_all_weights() -> None:
    task = BitPermutation(bits=5)
    shown = task.samples(Draws(torch.tensor(4), torch.arange(5), TRAIN)).inputs
    assert sorted(shown.argmax(dim=-1).tolist()) == [0, 1, 2, 3, 4]
    assert shown.sum() == 5
    tested = task.samples(Draws(torch.tensor(4), torch.arange(3_100), TEST)).inputs
    ones = (tested > 0).sum(dim=-1)
    found = torch.bincount(ones, minlength=6)[1:] / 3_100
    torch.testing.assert_close(found.double(), shares(5), atol=0.04, rtol=0)


def wide(seed: int, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"kind": "bit_permutation", "bits": 6},
        "model": {"kind": "ntk_mlp", "width": 1_024},
        "data": {"distinct": 6, "order": "cycle"},
        "optimizer": {"kind": "sgd", "lr": 60.0},
        "batch_size": 6,
        "budget": {"steps": 120},
        "evaluation": {"points": 1, "examples": 1_000},
        "seed": seed,
        **changes,
    }


def test_trained_wide_networks_have_the_error_of_the_closed_form() -> None:
    losses: list[float] = []
    for event in train([Start(trial_config(wide(seed))) for seed in range(40)]):
        if isinstance(event, Reported):
            losses.append(event.point.values["test_loss"])
        elif isinstance(event, Ended):
            assert event.outcome.metrics["closed_form_loss"] == pytest.approx(member_loss(6))
            assert event.outcome.metrics["members_for_all"] >= 1
    spread = float(np.std(losses)) / math.sqrt(len(losses))
    assert float(np.mean(losses)) == pytest.approx(member_loss(6), abs=4 * spread)
    assert 4 * spread < 0.25 * member_loss(6)


def test_another_model_than_that_of_the_theory_is_told_nothing() -> None:
    fields = wide(0, model={"kind": "mlp", "width": 8}, optimizer={"kind": "sgd", "lr": 0.1})
    for event in train([Start(trial_config(fields))]):
        if isinstance(event, Ended):
            assert "closed_form_loss" not in event.outcome.metrics
