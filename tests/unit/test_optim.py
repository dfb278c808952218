import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trainers.optim import Adam, AdamW, Moments, learning_rate, update

STEPS = 50
SIZE = 64


def gradients(scale: float = 1.0) -> Tensor:
    return scale * torch.randn(STEPS, SIZE, generator=torch.Generator().manual_seed(1))


def beginning() -> Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(0))


def ours(optimizers: list[Any], grads: Tensor, steps: int = STEPS) -> Tensor:
    """The weights of each trial after every step: [step, trial, weight]."""
    flat = beginning().repeat(len(optimizers), 1)
    moments = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
    path = []
    for done, gradient in enumerate(grads):
        each = gradient.repeat(len(optimizers), 1)
        count = len(optimizers)
        update(flat, each, moments, optimizers, [done] * count, [steps] * count)
        path.append(flat.clone())
    return torch.stack(path)


def theirs(kind: type[Any], grads: Tensor, clip: float | None = None, **fields: Any) -> Tensor:
    weight = torch.nn.Parameter(beginning())
    optimizer = kind([weight], **fields)
    path = []
    for gradient in grads:
        weight.grad = gradient.clone()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([weight], clip)
        optimizer.step()
        path.append(weight.detach().clone())
    return torch.stack(path)


SETTINGS = [
    {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"lr": 0.1, "beta1": 0.0, "beta2": 0.95, "epsilon": 1e-8},
    {"lr": 1e-2, "beta1": 0.95, "beta2": 0.99999, "epsilon": 1e-3},
]


def as_torch(fields: dict[str, float]) -> dict[str, Any]:
    return {
        "lr": fields["lr"],
        "betas": (fields["beta1"], fields["beta2"]),
        "eps": fields["epsilon"],
    }


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
@pytest.mark.parametrize("fields", SETTINGS)
def test_adam_is_that_of_torch(fields: dict[str, float], scale: float) -> None:
    found = ours([Adam(**fields)], gradients(scale))[:, 0]
    wanted = theirs(torch.optim.Adam, gradients(scale), **as_torch(fields))
    torch.testing.assert_close(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("fields", SETTINGS)
@pytest.mark.parametrize("decay", [0.0, 0.1, 5.0])
def test_adamw_is_that_of_torch(fields: dict[str, float], decay: float) -> None:
    found = ours([AdamW(**fields, weight_decay=decay)], gradients())[:, 0]
    wanted = theirs(torch.optim.AdamW, gradients(), weight_decay=decay, **as_torch(fields))
    torch.testing.assert_close(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("clip", [0.1, 8.0, 1e6])
def test_clipping_is_that_of_torch(clip: float) -> None:
    found = ours([Adam(clip=clip, epsilon=1e-2)], gradients())[:, 0]
    wanted = theirs(torch.optim.Adam, gradients(), clip=clip, eps=1e-2)
    torch.testing.assert_close(found, wanted, rtol=2e-6, atol=2e-6)


def test_the_norm_is_that_of_the_gradient_before_clipping() -> None:
    flat, gradient = torch.zeros(2, 4), torch.tensor([[3.0, 4, 0, 0], [0, 0, 0, 0]])
    moments = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
    norm = update(flat, gradient, moments, [Adam(clip=1.0)] * 2, [0, 0], [1, 1])
    assert norm.tolist() == [5.0, 0.0]
    assert flat[1].tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("optimizer", "step", "steps", "rate"),
    [
        (Adam(lr=2.0), 1, 10, 2.0),
        (Adam(lr=2.0), 10, 10, 2.0),
        (Adam(lr=2.0, warmup_steps=4), 1, 10, 0.5),
        (Adam(lr=2.0, warmup_steps=4), 4, 10, 2.0),
        (Adam(lr=2.0, warmup_steps=4), 5, 10, 2.0),
        (Adam(lr=2.0, warmup_steps=40), 10, 10, 0.5),
        (Adam(lr=2.0, schedule="cosine"), 5, 10, 1.0),
        (Adam(lr=2.0, schedule="cosine"), 10, 10, 0.0),
        (Adam(lr=2.0, schedule="cosine", final_share=0.1), 10, 10, 0.2),
        (Adam(lr=2.0, schedule="cosine", final_share=0.1), 5, 10, 1.1),
        (Adam(lr=2.0, schedule="cosine", final_share=1.0), 7, 10, 2.0),
        (Adam(lr=2.0, schedule="cosine", warmup_steps=4), 2, 10, 1.0),
        (Adam(lr=2.0, schedule="cosine", warmup_steps=4), 7, 10, 1.0),
        (AdamW(lr=2.0, schedule="cosine"), 1, 3, 2 * (1 + math.cos(math.pi / 3)) / 2),
        (Adam(lr=2.0, schedule="cosine", warmup_steps=10), 10, 10, 2.0),
    ],
)
def test_schedules_have_the_values_computed_by_hand(
    optimizer: Adam | AdamW, step: int, steps: int, rate: float
) -> None:
    assert learning_rate(optimizer, step, steps) == pytest.approx(rate, abs=1e-12)


def test_a_schedule_is_what_the_update_uses() -> None:
    schedule = AdamW(lr=0.1, warmup_steps=10, schedule="cosine", weight_decay=0.5)
    found = ours([schedule], gradients())[:, 0]
    weight = torch.nn.Parameter(beginning())
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.5)
    for step, gradient in enumerate(gradients(), start=1):
        rate = 0.1 * min(step / 10, (1 + math.cos(math.pi * max(step - 10, 0) / 40)) / 2)
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = gradient.clone()
        optimizer.step()
        torch.testing.assert_close(found[step - 1], weight.detach(), rtol=2e-6, atol=2e-6)


def test_the_settings_of_a_trial_do_not_leak_into_its_neighbours() -> None:
    pack = [
        AdamW(lr=1e-3, weight_decay=0.0),
        AdamW(lr=1.0, weight_decay=10.0, clip=0.01, epsilon=1.0),
        AdamW(lr=1e-2, beta1=0.0, beta2=0.5, warmup_steps=20, schedule="cosine"),
        AdamW(lr=1e-3, weight_decay=0.1, clip=1.0),
    ]
    together = ours(pack, gradients())
    for row, optimizer in enumerate(pack):
        assert torch.equal(together[:, row], ours([optimizer], gradients())[:, 0])


def test_a_gradient_that_is_not_finite_breaks_its_own_trial_alone() -> None:
    flat = beginning().repeat(3, 1)
    gradient = gradients()[0].repeat(3, 1)
    gradient[1, 5] = math.inf
    gradient[2, 0] = math.nan
    moments = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
    update(flat, gradient, moments, [Adam()] * 3, [0] * 3, [1] * 3)
    assert torch.equal(flat[0], ours([Adam()], gradients()[:1])[0, 0])
    assert not bool(flat[1].isfinite().all())
    assert not bool(flat[2].isfinite().all())
