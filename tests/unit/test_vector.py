"""The update of all trials at once is that of each trial, and that of torch."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.unit.test_optim import (
    MIXED,
    PLAIN,
    SETTINGS,
    SIZE,
    STEPS,
    as_torch,
    beginning,
    gradients,
    ours,
    theirs,
)
from trainers.engine.vector import Vector, numbers_of
from trainers.models.stack import Layout, Parameter
from trainers.optim import Adam, AdamW, AdamWUnitRows, AnyOptimizer, Moments, Sgd

MATRICES = Layout(
    (
        Parameter("matrix", (6, 5), "normal", 1.0),
        Parameter("vector", (10,), "normal", 1.0),
        Parameter("kept", (3, 7), "normal", 1.0, decays=False),
    )
)


def begun(
    optimizers: Sequence[AnyOptimizer], layout: Layout
) -> tuple[Tensor, Moments, Vector, Tensor]:
    count = len(optimizers)
    flat = torch.zeros(count, layout.row)
    flat[:, :SIZE] = beginning()
    moments = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
    numbers = torch.stack([numbers_of(each, 0, STEPS, STEPS) for each in optimizers], dim=1)
    return flat, moments, Vector.of(layout, flat, moments, optimizers), numbers


def all_at_once(
    optimizers: Sequence[AnyOptimizer], grads: Tensor, layout: Layout = PLAIN
) -> Tensor:
    """The weights of each trial after every step: [step, trial, weight]."""
    flat, _, vector, numbers = begun(optimizers, layout)
    path = []
    for gradient, now in zip(grads, numbers, strict=False):
        each = torch.zeros_like(flat)
        each[:, :SIZE] = gradient
        vector.step(each, now)
        path.append(flat[:, :SIZE].clone())
        assert not flat[:, SIZE:].any()  # padding stays zero
    return torch.stack(path)


PACKS: dict[str, list[AnyOptimizer]] = {
    "adam": [Adam(), Adam(lr=0.1, beta1=0.0, beta2=0.95, clip=1.0), Adam(epsilon=1e-3, clip=1e6)],
    "adamw": [
        AdamW(lr=1e-3, weight_decay=0.0),
        AdamW(lr=1.0, weight_decay=0.5, clip=0.01, epsilon=1.0),
        AdamW(lr=1e-2, beta1=0.0, beta2=0.5, warmup_steps=20, schedule="cosine"),
        AdamW(lr=1e-3, weight_decay=0.1, clip=1.0, schedule="linear"),
    ],
    "unit rows": [
        AdamWUnitRows(lr=1e-2, pull=0.1),
        AdamWUnitRows(lr=0.1, pull=2.0, clip=1.0, warmup_steps=5),
    ],
    "sgd": [
        Sgd(lr=0.1),
        Sgd(lr=0.01, momentum=0.9, nesterov=True),
        Sgd(lr=0.1, momentum=0.5, clip=0.1, weight_decay=0.1, schedule="cosine"),
    ],
    "plain sgd": [Sgd(lr=0.1), Sgd(lr=0.3)],
}


@pytest.mark.parametrize("layout", [PLAIN, MIXED, MATRICES], ids=["alike", "mixed", "matrices"])
@pytest.mark.parametrize("name", PACKS)
def test_all_at_once_is_one_after_the_other_but_for_rounding(name: str, layout: Layout) -> None:
    pack = PACKS[name]
    found, wanted = all_at_once(pack, gradients(), layout), ours(pack, gradients(), layout)
    torch.testing.assert_close(found, wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("layout", [PLAIN, MIXED, MATRICES], ids=["alike", "mixed", "matrices"])
@pytest.mark.parametrize("name", PACKS)
def test_the_bits_of_a_trial_do_not_depend_on_its_pack(name: str, layout: Layout) -> None:
    pack = PACKS[name]
    together = all_at_once(pack * 3, gradients(), layout)
    for row, optimizer in enumerate(pack):
        several = all_at_once([optimizer] * 5, gradients(), layout)[:, 0]
        assert torch.equal(several, all_at_once([optimizer], gradients(), layout)[:, 0])
        # a kernel that only a neighbour needs changes nothing, since it multiplies by one
        assert torch.equal(together[:, row], several)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
@pytest.mark.parametrize("fields", SETTINGS)
def test_adam_is_that_of_torch(fields: dict[str, float], scale: float) -> None:
    found = all_at_once([Adam(**fields)], gradients(scale))[:, 0]
    wanted = theirs(torch.optim.Adam, gradients(scale), **as_torch(fields))
    torch.testing.assert_close(found, wanted, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1, 5.0])
def test_adamw_is_that_of_torch(decay: float) -> None:
    found = all_at_once([AdamW(weight_decay=decay)], gradients())[:, 0]
    wanted = theirs(torch.optim.AdamW, gradients(), lr=1e-3, weight_decay=decay)
    torch.testing.assert_close(found, wanted, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("clip", [None, 0.1, 8.0])
def test_sgd_is_that_of_torch(nesterov: bool, clip: float | None) -> None:
    sgd = Sgd(lr=0.05, momentum=0.9, nesterov=nesterov, weight_decay=0.1, clip=clip)
    wanted = theirs(
        torch.optim.SGD, gradients(), clip, lr=0.05, momentum=0.9, nesterov=nesterov,
        weight_decay=0.1,
    )  # fmt: skip
    found = all_at_once([sgd], gradients())[:, 0]
    torch.testing.assert_close(found, wanted, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("optimizer", [Adam(), Adam(clip=1.0), Sgd(momentum=0.9), Sgd(clip=1.0)])
def test_a_gradient_that_is_not_finite_breaks_its_own_trial_alone(optimizer: AnyOptimizer) -> None:
    flat, _, vector, numbers = begun([optimizer] * 3, PLAIN)
    gradient = torch.zeros_like(flat)
    gradient[:, :SIZE] = gradients()[0]
    gradient[1, 5] = math.inf
    gradient[2, 0] = math.nan
    vector.step(gradient, numbers[0])
    assert torch.equal(flat[0, :SIZE], all_at_once([optimizer], gradients()[:1])[0, 0])
    assert not bool(flat[1].isfinite().all())
    assert not bool(flat[2].isfinite().all())


@pytest.mark.parametrize("name", PACKS)
def test_numbers_made_some_steps_ahead_are_those_of_the_steps(name: str) -> None:
    for optimizer in PACKS[name]:
        whole = numbers_of(optimizer, 0, STEPS, STEPS)
        parts = [numbers_of(optimizer, first, STEPS, 10) for first in range(0, STEPS, 10)]
        assert torch.equal(whole, torch.cat(parts))
        assert bool(numbers_of(optimizer, STEPS - 1, STEPS, 9).isfinite().all())  # past the end
