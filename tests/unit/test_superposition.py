import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.trials import natural_loss
from trainers.batches import NumberBatch
from trainers.config import TrialConfig, trial_config
from trainers.data.draws import TRAIN, Draws
from trainers.data.shape import NumberShape
from trainers.data.tasks.superposition import Superposition, represented
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.autoencoder import Autoencoder
from trainers.models.stack import Layout
from trainers.result import Reported, Saved


def inputs(task: Superposition, examples: int = 40_000) -> torch.Tensor:
    return task.samples(Draws(torch.tensor(5), torch.arange(examples), TRAIN)).inputs


@pytest.mark.parametrize(
    "fields",
    [
        {"features": 5, "alpha": 0.5, "active": 2.4},  # the first is active 9 times of 10
        {"features": 60, "alpha": 1.2},
        {"features": 30, "law": "exponential", "scale": 6.0, "active": 3.0},
        {"features": 12, "law": "linear"},
    ],
)
def test_each_feature_is_active_as_often_as_its_law_says_and_apart_from_the_others(
    fields: dict[str, object],
) -> None:
    task = Superposition.model_validate(fields)
    on = (inputs(task) > 0).double()
    place = np.arange(1, task.features + 1)
    weight = {
        "power": place ** -float(task.alpha or 1),
        "exponential": np.exp(-(place - 1) / (task.scale or 1_000)),
        "linear": (task.features - place + 1) / task.features,
    }[task.law]
    chance = torch.from_numpy(task.active * weight / weight.sum())
    error = (chance * (1 - chance) / len(on)).sqrt()
    assert bool(((on.mean(dim=0) - chance).abs() < 5 * error).all())
    together = on.T @ on / len(on)
    expected = chance[:, None] * chance
    pair_error = (expected * (1 - expected) / len(on)).sqrt().fill_diagonal_(math.inf)
    assert bool(((together - expected).abs() < 5 * pair_error + 1e-4).all())
    none = float((1 - chance).prod())
    nothing = float((on.sum(dim=1) == 0).double().mean())
    assert nothing == pytest.approx(none, abs=5 * math.sqrt(none / len(on)) + 1e-4)


def test_active_values_are_uniform_also_where_a_feature_is_nearly_always_active() -> None:
    x = inputs(Superposition(features=3, alpha=0.3, active=2.4))
    for feature in range(3):
        values = x[:, feature][x[:, feature] > 0]
        cells = torch.histc(values, bins=20, min=0, max=2)
        expected = len(values) / 20
        assert float(((cells - expected) ** 2 / expected).sum()) < 50  # 19 degrees of freedom


def test_a_feature_of_probability_one_is_always_active() -> None:
    place = np.arange(1, 11)
    task = Superposition(features=10, active=float((1 / place).sum()))
    assert float(task.probabilities()[0]) == pytest.approx(1, abs=1e-12)
    assert bool((inputs(task)[:, 0] > 0).all())


def test_predicting_nothing_costs_four_thirds_of_an_active_feature() -> None:
    for active in (1.0, 2.5):
        x = inputs(Superposition(features=100, active=active))
        assert float(x.square().sum(dim=1).mean()) == pytest.approx(4 / 3 * active, rel=0.03)


@pytest.mark.parametrize(
    "fields",
    [
        {"features": 10, "alpha": 2.0, "active": 2.0},  # the first more often than always
        {"law": "linear", "alpha": 1.0},
        {"law": "power", "scale": 10.0},
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Superposition.model_validate(fields)


def test_an_autoencoder_is_its_formula() -> None:
    model = Autoencoder(width=4)
    layout = Layout(model.parameters(NumberShape(7, 7)))
    flat = layout.start([1, 2])
    weights = layout.views(flat)
    x = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(0))
    for trial, out in enumerate(model.outputs(weights, x)):
        w, b = weights["weight"][trial], weights["bias"][trial]
        for row, y in zip(x[trial], out, strict=True):
            wanted = [max(0.0, float(b[i] + sum(x_j * (w[i] @ w[j]) for j, x_j in enumerate(row))))
                      for i in range(7)]  # fmt: skip
            torch.testing.assert_close(y, torch.tensor(wanted), rtol=1e-4, atol=1e-5)


def test_both_uses_of_the_tied_matrix_are_trained() -> None:
    model = Autoencoder(width=3)
    layout = Layout(model.parameters(NumberShape(5, 5)))
    flat = layout.start([1]).requires_grad_()
    x = torch.rand(1, 8, 5, generator=torch.Generator().manual_seed(0))
    batch = NumberBatch(x, x)
    (gradient,) = torch.autograd.grad(natural_loss(model, layout.views(flat), batch).sum(), flat)
    step = 1e-3
    for place in range(layout.used):
        moved = []
        for sign in (1, -1):
            other = flat.detach().clone()
            other[0, place] += sign * step
            moved.append(float(natural_loss(model, layout.views(other), batch)))
        slope = (moved[0] - moved[1]) / (2 * step)
        assert float(gradient[0, place]) == pytest.approx(slope, abs=2e-3)


def test_an_autoencoder_starts_as_published_and_refuses_other_targets() -> None:
    model = Autoencoder(width=16)
    weights = Layout(model.parameters(NumberShape(4_000, 4_000)))
    views = weights.views(weights.start([0]))
    assert float(views["weight"].std()) == pytest.approx(1 / 4, rel=0.02)
    assert float(views["bias"].std()) == pytest.approx(1, rel=0.04)
    with pytest.raises(ValueError, match="expected as many outputs as inputs"):
        model.parameters(NumberShape(3, 2))


def test_rows_longer_than_a_half_are_represented() -> None:
    weight = torch.tensor([[0.6, 0.0], [0.3, 0.3], [0.0, -0.51], [0.0, 0.5]])
    assert represented(weight) == 0.5


def cell(width: int, features: int, alpha: float, steps: int, **optimizer: object) -> TrialConfig:
    return trial_config(
        {
            "task": {"kind": "superposition", "features": features, "alpha": alpha},
            "model": {"kind": "autoencoder", "width": width},
            "optimizer": {
                "lr": 0.01,
                "schedule": "cosine",
                "final_share": 0.05,
                "warmup_steps": steps // 10,
                **optimizer,
            },
            "batch_size": 256,
            "budget": {"steps": steps},
            "evaluation": {"points": 1, "examples": 4_000},
        }
    )


def trained(config: TrialConfig) -> tuple[float, float]:
    """The loss summed over features, and the share of features that are represented."""
    events = list(train([Start(config)]))
    (report,) = [event for event in events if isinstance(event, Reported)]
    (saved,) = [event for event in events if isinstance(event, Saved)]
    weights = Layout(config.parameters()).views(saved.tensors["weights"][None])
    assert isinstance(config.task, Superposition)
    loss = report.point.values["test_loss"] * config.task.features
    return loss, represented(weights["weight"][0])


def test_in_strong_superposition_all_features_are_there_and_the_loss_falls_as_one_over_width() -> (
    None
):
    widths = [5, 12]
    cells = [trained(cell(width, 80, 1.0, 600, kind="adamw_unit_rows")) for width in widths]
    assert all(share == 1.0 for _, share in cells)
    slope = -np.polyfit(np.log(widths), np.log([loss for loss, _ in cells]), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.3)


def test_in_weak_superposition_about_as_many_features_are_there_as_the_width_holds() -> None:
    loss, share = trained(cell(10, 80, 2.0, 1_500, kind="adamw", weight_decay=0.3))
    assert 0.5 * 10 / 80 < share < 2 * 10 / 80
    # what is left is the variance of the others: 4/3 of their probabilities
    chance = np.arange(1, 81) ** -2.0
    left = 4 / 3 * chance[10:].sum() / chance.sum()
    assert loss == pytest.approx(left, rel=0.3)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_what_is_left_out_costs_its_mean_square(share: float) -> None:
    task = Superposition(features=40, alpha=1.5)
    draws = Draws(torch.tensor(3), torch.arange(200_000), TRAIN)
    x = task.samples(draws).inputs
    kept = x.clone()
    kept[:, round(share * 40) :] = 0
    measured = float((x - kept).square().mean())
    assert task.left_out_loss(share) == pytest.approx(measured, rel=0.02, abs=1e-12)
