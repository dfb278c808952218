import math

import numpy as np
import pytest
import torch

from trainers.config import trial_config
from trainers.data.draws import TRAIN, Draws
from trainers.data.material.linear_theory import (
    data_loss,
    descent_loss,
    exponents,
    power_law,
    resolution,
    time_loss,
    width_loss,
)
from trainers.data.tasks.random_features import RandomFeatures
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.stack import Layout
from trainers.result import Reported

SIZES = [32, 64, 128, 256, 512]


def slope(xs: list[float], losses: list[float]) -> float:
    return float(-np.polyfit(np.log(xs), np.log(losses), 1)[0])


# a, b, and the slopes of the deterministic equivalent over 32..512 for 16,000 modes, as measured with
# an implementation of its own; then medians over draws, of random matrices
CELLS = [
    (1.5, 1.25, 0.537, 0.542),
    (2.0, 1.5, 0.977, 1.009),
    (2.5, 2.0, 1.457, 1.491),
    (3.0, 1.25, 1.259, 2.002),
    (4.5, 1.25, 1.307, 2.543),
]


@pytest.mark.parametrize(("a", "b", "width_slope", "data_slope"), CELLS)
def test_width_and_data_give_the_slopes_that_another_program_measured(
    a: float, b: float, width_slope: float, data_slope: float
) -> None:
    power, spectrum = power_law(16_000, a), power_law(16_000, b)
    widths = [width_loss(power, spectrum, size) for size in SIZES]
    assert slope(SIZES, widths) == pytest.approx(width_slope, abs=0.006)
    examples = [data_loss(power, spectrum, size) for size in SIZES]
    assert slope(SIZES, examples) == pytest.approx(data_slope, abs=0.006)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.5), (2.5, 2.0), (3.2, 1.6)])
def test_the_losses_fall_with_the_stated_exponents_where_they_are_large(a: float, b: float) -> None:
    power, spectrum = power_law(400_000, a), power_law(400_000, b)
    stated = exponents(a, b)
    times = [1e3, 1e4]
    assert slope(times, [time_loss(power, spectrum, t) for t in times]) == pytest.approx(
        stated["time"], abs=0.01
    )
    sizes = [1_000, 3_000]
    for name, loss in (("width", width_loss), ("data", data_loss)):
        found = slope(sizes, [loss(power, spectrum, size) for size in sizes])
        assert found == pytest.approx(stated[name], abs=0.06), name


def test_the_resolution_solves_its_equation() -> None:
    spectrum = power_law(700, 1.3)
    for rank in (1, 10, 300, 699):
        kappa = resolution(spectrum, rank)
        assert float((spectrum / (spectrum + kappa)).sum()) == pytest.approx(rank, rel=1e-9)


def gaussian(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, columns)))


def test_the_width_limit_is_the_median_loss_of_projections_on_random_features() -> None:
    a, b, modes = 2.0, 1.5, 1_000
    power, spectrum = power_law(modes, a), power_law(modes, b)
    for width in (16, 64):
        losses = []
        for seed in range(9):
            features = (spectrum.sqrt()[:, None] * gaussian(modes, width, seed)).numpy()
            target = power.sqrt().numpy()
            readout, *_ = np.linalg.lstsq(features, target, rcond=None)
            losses.append(((target - features @ readout) ** 2).sum())
        assert np.median(losses) == pytest.approx(width_loss(power, spectrum, width), rel=0.1)


def test_the_data_limit_is_the_median_loss_of_the_smallest_weights_that_fit() -> None:
    a, b, modes = 2.0, 1.5, 1_000
    power, spectrum = power_law(modes, a), power_law(modes, b)
    true = (power / spectrum).sqrt().numpy()
    for examples in (32, 128):
        losses = []
        for seed in range(15):
            inputs = (gaussian(examples, modes, seed) * spectrum.sqrt()).numpy()
            weights, *_ = np.linalg.lstsq(inputs, inputs @ true, rcond=None)
            losses.append((spectrum.numpy() * (true - weights) ** 2).sum())
        assert np.median(losses) == pytest.approx(data_loss(power, spectrum, examples), rel=0.15)


@pytest.mark.parametrize("examples", [None, 7, 40])
def test_descent_in_closed_form_is_descent_step_by_step(examples: int | None) -> None:
    modes, width = 30, 12
    power, spectrum = power_law(modes, 2.0), power_law(modes, 1.3)
    features = gaussian(modes, width, 0) / math.sqrt(width)
    inputs = None if examples is None else gaussian(examples, modes, 1) * spectrum.sqrt()
    rates = torch.linspace(0.4, 0.01, 60, dtype=torch.float64)
    true = (power / spectrum).sqrt()
    readout = torch.zeros(width, dtype=torch.float64)
    for rate in rates:
        if inputs is None:
            wrong = spectrum * (features @ readout - true)
            gradient = 2 * features.T @ wrong
        else:
            wrong = inputs @ features @ readout - inputs @ true
            gradient = 2 * (inputs @ features).T @ wrong / len(inputs)
        readout = readout - rate * gradient
    loss = float((spectrum * (features @ readout - true) ** 2).sum())
    assert descent_loss(power, spectrum, features, inputs, rates) == pytest.approx(loss, rel=1e-9)


def test_descent_with_a_rate_too_large_grows_as_it_does_step_by_step() -> None:
    power, spectrum, one = power_law(2, 2.0), power_law(2, 1.0), torch.eye(2, dtype=torch.float64)
    for steps in (1, 2, 5):
        rates = torch.full((steps,), 1.5, dtype=torch.float64)
        factors = (1 - 2 * 1.5 * spectrum) ** (2 * steps)  # -2 and -1/2: both alternate
        wanted = float((power * factors).sum())
        assert descent_loss(power, spectrum, one, None, rates) == pytest.approx(wanted, rel=1e-9)


def test_with_all_modes_as_features_small_steps_follow_the_law_of_time() -> None:
    power, spectrum, rate = power_law(50, 2.0), power_law(50, 1.5), 1e-4
    rates = torch.full((100_000,), rate, dtype=torch.float64)
    loss = descent_loss(power, spectrum, torch.eye(50, dtype=torch.float64), None, rates)
    assert loss == pytest.approx(time_loss(power, spectrum, 2 * rate * 100_000), rel=1e-3)


def test_modes_have_the_variance_of_the_spectrum_and_are_independent() -> None:
    task = RandomFeatures(modes=300, spectrum=1.25)
    samples = task.samples(Draws(torch.tensor(1), torch.arange(20_000), TRAIN))
    standard = samples.inputs / power_law(300, 1.25).sqrt()
    spread = 1 / math.sqrt(20_000)
    assert float(standard.mean(dim=0).abs().max()) < 5 * spread
    assert float((standard.var(dim=0) - 1).abs().max()) < 5 * math.sqrt(2) * spread
    # neighbours, and modes that are drawn in different goes
    for apart in (1, 255, 256):
        products = (standard[:, :-apart] * standard[:, apart:]).mean(dim=0)
        assert float(products.abs().max()) < 5 * spread
    fourth = standard.pow(4).mean()
    assert float(fourth) == pytest.approx(3, abs=0.05)


def fields(width: int, seed: int = 0, **changes: object) -> dict[str, object]:
    return {
        "task": {"kind": "random_features", "modes": 60, "spectrum": 1.5, "target": 2.0},
        "model": {"kind": "random_features", "width": width},
        "optimizer": {"kind": "sgd", "lr": 0.3},
        "data": {"distinct": 24, "order": "cycle"},
        "batch_size": 24,
        "budget": {"steps": 200},
        "evaluation": {"points": 1, "examples": 50_000},
        "seed": seed,
        **changes,
    }


def test_a_trained_readout_has_the_loss_of_the_closed_form_and_its_features_stay() -> None:
    configs = [trial_config(fields(16, seed)) for seed in (3, 4)]
    reports = [event for event in train([Start(c) for c in configs]) if isinstance(event, Reported)]
    for config, report in zip(configs, reports, strict=True):
        layout = Layout(config.parameters())
        features = layout.views(layout.start([config.seed]))["features"][0]
        assert isinstance(config.task, RandomFeatures)
        rates = torch.full((200,), 0.3, dtype=torch.float64)
        found = config.task.theory(features, rates, config.seed, distinct=24)
        # 50,000 test examples know the mean of a squared normal to sqrt(2 / 50,000) = 0.6 %
        assert report.point.values["test_loss"] == pytest.approx(
            found["closed_form_loss"], rel=0.025
        )
        assert 0 < found["width_limit_loss"] < found["closed_form_loss"]


def test_training_on_endless_data_in_large_batches_follows_the_closed_form() -> None:
    config = trial_config(
        fields(24, data={}, batch_size=4_000, optimizer={"kind": "sgd", "lr": 0.1})
    )
    (report,) = [event for event in train([Start(config)]) if isinstance(event, Reported)]
    layout = Layout(config.parameters())
    features = layout.views(layout.start([0]))["features"][0]
    assert isinstance(config.task, RandomFeatures)
    rates = torch.full((200,), 0.1, dtype=torch.float64)
    found = config.task.theory(features, rates, 0, distinct=None)["closed_form_loss"]
    assert report.point.values["test_loss"] == pytest.approx(found, rel=0.05)
