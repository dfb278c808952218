"""Cost models: against counts by hand, against the trainer's own, and inverted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.allocation.cost_models import (
    SIX_ND,
    CostModel,
    custom_cost,
    gpu_hours,
    log_prices,
    log_tokens_for,
    prices,
    transformer_flops,
    with_serving,
)
from trainers.flops import transformer
from trainers.schema import InputError

PLACE = {"params": np.array([7e10]), "tokens": np.array([1.4e12])}
MODELS = (
    SIX_ND,
    transformer_flops(context=2048, vocabulary=50_257),
    with_serving(SIX_ND, 1e12),
    gpu_hours(SIX_ND, {1e8: 1e14, 1e10: 3e14, 1e11: 4e14}),
    gpu_hours(with_serving(transformer_flops(context=8192), 3e11), 2e14),
    custom_cost("6 * params * tokens^1.1 + 1e9 * params"),
)


def _one(model: CostModel, place: dict[str, np.ndarray] = PLACE) -> float:
    return float(prices(model, place)[0])


def test_the_costs_of_a_training_run_by_hand():
    flops = 6 * 7e10 * 1.4e12
    assert _one(SIX_ND) == pytest.approx(flops, rel=1e-14)
    assert _one(with_serving(SIX_ND, 2e12)) == pytest.approx(flops + 2 * 7e10 * 2e12, rel=1e-14)
    # An hour has 3,600 seconds.
    assert _one(gpu_hours(SIX_ND, 4e14)) == pytest.approx(flops / 4e14 / 3600, rel=1e-13)
    user = custom_cost("6 * params * tokens + 2 * params * served", {"served": 2e12})
    assert _one(user) == pytest.approx(_one(with_serving(SIX_ND, 2e12)), rel=1e-14)
    assert _one(transformer_flops(context=0)) == pytest.approx(flops, rel=1e-14)


def test_attention_and_the_last_layer_are_those_of_a_real_model():
    layers, width, context, vocabulary = 12, 768, 1024, 50_257
    params = 12 * layers * width**2
    # Per token, forwards: 2 N, 2 layers context width for attention, 2 vocabulary width.
    by_hand = 3 * (2 * params + 2 * layers * context * width + 2 * vocabulary * width)
    model = transformer_flops(context=context, vocabulary=vocabulary, aspect=width / layers)
    place = {"params": np.array([float(params)]), "tokens": np.array([1e9])}
    assert _one(model, place) == pytest.approx(by_hand * 1e9, rel=1e-12)


def test_a_language_model_costs_what_the_trainer_counts_but_for_biases():
    layers, width, context, vocabulary = 24, 2048, 512, 32_000
    counted = transformer(
        encoder_layers=0, decoder_layers=layers, width=width, feedforward=4 * width,
        vocabulary=vocabulary, outputs=vocabulary, question=1, answer=context, position_params=0,
    )  # fmt: skip
    model = transformer_flops(context=context, vocabulary=vocabulary, aspect=width / layers)
    place = {"params": np.array([12.0 * layers * width**2]), "tokens": np.array([float(context)])}
    # The trainer counts the products of all pairs of tokens, Kaplan et al. those that are not masked.
    masked = 6 * layers * context * width * context
    assert _one(model, place) + masked == pytest.approx(counted.flops, rel=0.005)


def test_speeds_run_evenly_in_logarithms_between_sizes_and_stay_beyond_them():
    model = gpu_hours(SIX_ND, {1e8: 1e14, 1e10: 4e14})
    params = np.array([1e6, 1e8, 1e9, 1e10, 1e12])
    speed = 6 * params * 1e9 / prices(model, {"params": params, "tokens": np.full(5, 1e9)}) / 3600
    assert speed == pytest.approx([1e14, 1e14, 2e14, 4e14, 4e14], rel=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@given(log_params=st.floats(14, 27), log_tokens=st.floats(16, 32))
def test_the_tokens_that_a_cost_buys_are_those_that_cost_it(
    model: CostModel, log_params: float, log_tokens: float
):
    place = np.array([log_params]), np.array([log_tokens])
    cost = np.exp(log_prices(model, *place)[0])
    # Where serving takes all but a part in 10^6, rounding decides how many tokens are left.
    found = log_tokens_for(model, cost, place[0])
    share = log_prices(model, *place)[2]
    assert found[0] == pytest.approx(log_tokens, abs=1e-12 / float(share[0]) + 1e-11)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_slopes_of_a_cost_are_its_differences(model: CostModel):
    params, tokens, step = np.log([3e9]), np.log([4e10]), 1e-5
    _, by_size, by_data = log_prices(model, params, tokens)
    for slope, moved in ((by_size, (step, 0)), (by_data, (0, step))):
        up = log_prices(model, params + moved[0], tokens + moved[1])[0]
        down = log_prices(model, params - moved[0], tokens - moved[1])[0]
        assert slope[0] == pytest.approx((up - down)[0] / (2 * step), abs=1e-8)


def test_a_size_whose_serving_alone_is_dearer_than_the_budget_cannot_be_bought():
    found = log_tokens_for(with_serving(SIX_ND, 1e12), np.full(2, 1e21), np.log([4.9e8, 5.1e8]))
    assert np.isfinite(found[0])  # 2 N S is 9.8e20
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: custom_cost("6 * params *"), "expected an expression"),
        (lambda: custom_cost("__import__('os').system('x')"), "expected names, numbers"),
        (
            lambda: custom_cost("6 * params * tokens", {"served": 1.0}),
            "expected served in the form",
        ),
        (lambda: custom_cost("6 * params * tokens", {"tokens": 1.0}), "expected tokens to be left"),
        (lambda: prices(custom_cost("params * hours"), PLACE), "expected a number for hours"),
        (lambda: prices(custom_cost("params - 1e13"), PLACE), "expected positive numbers"),
        (lambda: gpu_hours(gpu_hours(SIX_ND, 1e14), 1e14), "expected a cost in FLOPs"),
        (lambda: gpu_hours(SIX_ND, 0.0), "expected a positive number, got 0"),
        (lambda: gpu_hours(SIX_ND, {}), "expected at least one speed"),
        (lambda: with_serving(SIX_ND, -1.0), "expected a number of at least 0"),
        (lambda: transformer_flops(context=1024, aspect=0), "aspect: expected a positive"),
        (
            lambda: log_tokens_for(
                custom_cost("params / tokens"), np.array([1.0]), np.array([5.0])
            ),
            "rises with the tokens",
        ),
    ],
)
def test_what_is_not_a_cost_is_refused(make, words: str):
    with pytest.raises(InputError, match=words):
        make()
