"""What every model promises, for every model in the folder."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.trials import gcd_trial, natural_loss
from trainers import models
from trainers.batches import NumberBatch, TokenBatch, held_out_batch
from trainers.data.encoding import END, PAD
from trainers.data.shape import NumberShape, TokenShape
from trainers.engine.pack import Start
from trainers.evaluate import report_metrics
from trainers.loop import train
from trainers.models.model import Model, TokenModel
from trainers.models.stack import Layout, Weights
from trainers.plugins import kinds, summary
from trainers.result import Saved

KINDS = kinds(models, Model)
TOKENS = TokenShape(vocabulary=15, question=9, answer=5, digits=(5, 10))
LONG = TokenShape(vocabulary=300, question=30, answer=12, digits=(5, 295))
FOREIGN = TokenShape(vocabulary=40, question=9, answer=5, spoken=12)  # answers in other tokens
ONE, SEVERAL = NumberShape(inputs=1, outputs=1), NumberShape(inputs=5, outputs=3)
TWO_BACK, FIVE_BACK = NumberShape(inputs=2, outputs=2), NumberShape(inputs=5, outputs=5)

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "transformer": [
        {"encoder_layers": encoder, "decoder_layers": decoder, "position": {"kind": position}}
        | {"width": width, "heads": heads, "feedforward": feedforward, "activation": activation}
        for encoder, decoder, width, heads, feedforward, position, activation in [
            (1, 1, 16, 2, 4, "learned", "gelu"),
            (2, 1, 24, 4, 1, "rope", "relu"),
            (1, 3, 10, 5, 2, "none", "gelu"),
            (0, 1, 16, 2, 4, "learned", "gelu"),
            (0, 1, 32, 1, 4, "rope", "relu"),
            (0, 3, 16, 4, 3, "none", "gelu"),
            (2, 0, 16, 4, 2, "learned", "gelu"),
            (1, 2, 16, 2, 2, "relative_key", "gelu"),
            (0, 2, 24, 3, 2, "relative_key", "silu"),
            (2, 0, 16, 4, 2, "relative_key", "gelu"),
            (1, 1, 16, 2, 2, "relative_key_query", "gelu"),
            (0, 2, 16, 4, 2, "relative_key_query", "gelu"),
            (1, 1, 16, 2, 2, "alibi", "gelu"),
            (0, 2, 18, 3, 2, "alibi", "gelu"),
            (1, 1, 15, 3, 2, "sinusoidal", "gelu"),
            (0, 1, 16, 2, 2, "abacus", "gelu"),
            (1, 1, 16, 2, 2, "randomised", "gelu"),
            (0, 2, 16, 2, 2, "randomised", "gelu"),
        ]
    ]
    + [
        {"width": 16, "heads": 2, "feedforward": 2}
        | {"encoder_layers": encoder, "decoder_layers": decoder}
        | fields
        for encoder, decoder, fields in [
            (1, 2, {"norm": "post"}),
            (0, 2, {"norm": "post", "tied_embeddings": True}),
            (1, 1, {"tied_embeddings": True}),
            (3, 2, {"shared_layers": True}),
            (0, 3, {"shared_layers": True, "gated": True}),
            (2, 0, {"norm": "post", "gated": True, "activation": "relu"}),
            (2, 1, {"shared_layers": True, "gated": True, "norm": "post"}),
            (0, 2, {"position": {"kind": "relative_key", "reach": 2}, "shared_layers": True}),
            (1, 1, {"position": {"kind": "randomised", "range": 50, "vectors": "learned"}}),
        ]
    ],
    "mlp": [
        {"width": 7},
        {"width": 16, "layers": 3, "activation": "relu"},
        {"width": 1, "layers": 2, "activation": "tanh"},
        {"width": 5, "activation": "quadratic"},
    ],
    "autoencoder": [{"width": 2}, {"width": 3, "bias_rate": 0.5}],
    "random_features": [{"width": 2}, {"width": 7}],
    "ntk_mlp": [{"width": 2}, {"width": 9}],
    "classifier": [
        {},
        {"width": 7, "activation": "quadratic", "biases": False, "start": "cubic"},
        {"width": 9, "combine": "sum", "layers": 2, "activation": "tanh"},
        {"width": 16, "embed": 6, "layers": 2, "activation": "gelu"},
        {"width": 16, "embed": 2, "combine": "sum", "biases": False},
    ],
    "recurrent": [
        {"cell": "relu", "width": 16, "start_token": False, "first_state": 1.0, "xavier_gain": 0.5},
        {"cell": "tanh", "width": 7, "layers": 2, "embed": 5},
        {"cell": "lstm", "width": 9, "layers": 2},
        {"cell": "lstm", "width": 8, "embed": 3, "start_token": False},
        {"cell": "gru", "width": 9, "layers": 2, "embed": 16, "xavier_gain": 1.0},
        {"cell": "diagonal", "width": 9, "layers": 2, "xavier_gain": 3.0},
        {"cell": "signed_diagonal", "width": 16, "embed": 4, "first_state": 1.0},
    ],
}
PARALLEL = {"classifier"}  # models that answer all places at once, given no token of the answer
CASES = [
    pytest.param(KINDS[name].model_validate(fields), id=f"{name}-{number}")
    for name, variants in VARIANTS.items()
    for number, fields in enumerate(variants)
]
TOKEN_CASES = [case for case in CASES if isinstance(case.values[0], TokenModel)]


def answers_at_once(model: Any) -> bool:
    """Whether all slots of the answer are filled in parallel, none of them seeing a token of it."""
    return getattr(model, "decoder_layers", 1) == 0


def counts_slots(model: Any) -> bool:
    """Whether the number of slots is a part of what the model reads."""
    position = getattr(model, "position", None)
    return answers_at_once(model) or getattr(position, "kind", None) == "randomised"


STEPWISE_CASES = [case for case in TOKEN_CASES if not answers_at_once(case.values[0])]


def shapes(model: Model) -> list[Any]:
    if isinstance(model, TokenModel):
        counts_digits = getattr(getattr(model, "position", None), "kind", None) == "abacus"
        one_script = model.kind == "classifier" or counts_digits
        return [TOKENS, LONG] if one_script else [TOKENS, LONG, FOREIGN]
    return [TWO_BACK, FIVE_BACK] if model.kind == "autoencoder" else [ONE, SEVERAL]


def begun(model: Model, shape: Any, seeds: list[int]) -> Weights:
    layout = Layout(model.parameters(shape))
    return layout.views(layout.start(seeds))


def questions(trials: int, batch: int, shape: TokenShape) -> tuple[Tensor, Tensor]:
    """Random tokens with random lengths: padding after questions, END and padding after answers."""
    random = torch.Generator().manual_seed(0)

    def rows(length: int, tokens: int) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(3, tokens, (trials, batch, length), generator=random)
        lengths = torch.randint(1, length + 1, (trials, batch, 1), generator=random)
        return torch.where(torch.arange(length) < lengths, drawn, PAD), lengths

    question, _ = rows(shape.question, shape.vocabulary)
    answer, lengths = rows(shape.answer, shape.outputs)
    return question, answer.scatter(-1, lengths - 1, END)


def batch_of(model: Model, shape: Any, trials: int, size: int) -> TokenBatch | NumberBatch:
    if isinstance(model, TokenModel):
        return TokenBatch(*questions(trials, size, shape))
    random = torch.Generator().manual_seed(0)
    return NumberBatch(
        torch.randn(trials, size, shape.inputs, generator=random),
        torch.randn(trials, size, shape.outputs, generator=random),
    )


def test_every_model_of_the_folder_is_tested_here() -> None:
    assert set(KINDS) == set(VARIANTS)


@pytest.mark.parametrize("name", KINDS)
def test_a_model_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    line, source = summary(KINDS[name])
    assert line.endswith(".")
    assert "arXiv:" in source or "doi:" in source


@pytest.mark.parametrize("model", CASES)
def test_the_predicted_number_of_parameters_is_exact(model: Model) -> None:
    for shape in shapes(model):
        cost = model.cost(shape)
        assert cost.all_params == Layout(model.parameters(shape)).used
        tables = [
            part.size
            for part in model.parameters(shape)
            if part.name == "token" or "place" in part.name or part.rate == part.sgd_rate == 0
        ]
        assert cost.embedding_params == sum(tables)


@pytest.mark.parametrize("model", CASES)
def test_the_predicted_flops_are_those_that_torch_counts(model: Model) -> None:
    for shape in shapes(model):
        layout = Layout(model.parameters(shape))
        if any(part.name.endswith("weight") and part.shape[1] == 1 for part in layout.parameters):
            continue  # a single column is multiplied and summed, which torch's counter cannot see
        flat = layout.start([1]).requires_grad_()
        batch = batch_of(model, shape, 1, 4)
        if isinstance(batch, TokenBatch):
            batch.question[:, 0] = (
                5  # one whole line, as places that are all padding may be left out
            )
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            loss = natural_loss(model, layout.views(flat), batch)
            torch.autograd.grad(loss.sum(), flat)
        assert counter.get_total_flops() / 4 == pytest.approx(model.cost(shape).flops, rel=1e-9)


@pytest.mark.parametrize("model", CASES)
def test_a_trial_sees_only_its_own_weights_and_examples(model: Model) -> None:
    shape = shapes(model)[0]
    layout = Layout(model.parameters(shape))
    flat = layout.start([1, 2, 3])
    batch = batch_of(model, shape, 3, 6)
    losses = natural_loss(model, layout.views(flat), batch)
    for row in range(3):
        alone = type(batch)(
            *(tensor[row : row + 1] for tensor in vars(batch).values() if tensor is not None)
        )
        assert torch.equal(
            natural_loss(model, layout.views(flat[row : row + 1]), alone)[0], losses[row]
        )


@pytest.mark.parametrize("model", CASES)
def test_every_parameter_is_trained(model: Model) -> None:
    """Every name that learns receives a gradient, and nothing else does."""
    shape = shapes(model)[-1]
    layout = Layout(model.parameters(shape))
    flat = layout.start([1]).requires_grad_()
    loss = natural_loss(model, layout.views(flat), batch_of(model, shape, 1, 16))
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    idle = {name for name, part in layout.views(gradient).items() if not bool(part.any())}
    assert idle == {part.name for part in layout.parameters if part.rate == part.sgd_rate == 0}
    assert not bool(gradient[:, layout.used :].any())


@pytest.mark.parametrize("model", TOKEN_CASES)
def test_longer_padding_changes_no_logit(model: TokenModel) -> None:
    weights = begun(model, LONG, [1, 2])
    question, answer = questions(2, 12, TOKENS)
    wider = torch.cat([question, torch.full_like(question[..., :7], PAD)], dim=-1)
    more = 0 if counts_slots(model) else 3
    longer = torch.cat([answer, torch.full_like(answer[..., :more], PAD)], dim=-1)
    narrow = model.logits(weights, question, answer)
    wide = model.logits(weights, wider, longer)[..., : answer.shape[-1], :]
    torch.testing.assert_close(wide, narrow, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", STEPWISE_CASES)
def test_a_logit_depends_on_earlier_tokens_of_the_answer_alone(model: TokenModel) -> None:
    weights = begun(model, TOKENS, [1])
    question, answer = questions(1, 6, TOKENS)
    before = model.logits(weights, question, answer)
    for place in range(TOKENS.answer):
        changed = answer.clone()
        changed[..., place:] = 3 + (answer[..., place:] + 1) % 12
        after = model.logits(weights, question, changed)
        torch.testing.assert_close(after[..., : place + 1, :], before[..., : place + 1, :])
        later = slice(place + 1, None)
        if place < TOKENS.answer - 1 and model.kind not in PARALLEL:
            assert not torch.allclose(after[..., later, :], before[..., later, :], atol=1e-4)


@pytest.mark.parametrize("model", [case for case in TOKEN_CASES if answers_at_once(case.values[0])])
def test_answers_given_at_once_depend_on_the_question_alone(model: TokenModel) -> None:
    weights = begun(model, TOKENS, [1])
    question, answer = questions(1, 6, TOKENS)
    assert torch.equal(
        model.logits(weights, question, answer), model.logits(weights, question, answer.flip(-1))
    )


@pytest.mark.parametrize("model", TOKEN_CASES)
def test_a_logit_depends_on_every_token_of_the_question(model: TokenModel) -> None:
    weights = begun(model, TOKENS, [1])
    question, answer = questions(1, 1, TOKENS)
    question = torch.full_like(question, 7)
    question[..., -2:] = PAD
    before = model.logits(weights, question, answer)
    for place in range(TOKENS.question - 2):
        changed = question.clone()
        changed[..., place] = 9
        assert not torch.allclose(model.logits(weights, changed, answer), before, atol=1e-6)


@pytest.mark.parametrize("model", TOKEN_CASES)
def test_a_greedy_answer_is_the_argmax_given_itself(model: TokenModel) -> None:
    weights = begun(model, TOKENS, [1, 2, 3])
    question, _ = questions(3, 40, TOKENS)
    given = model.generate(weights, question, TOKENS.answer)
    best = model.logits(weights, question, given).argmax(dim=-1)
    over = ((given == END) | (given == PAD)).cumsum(dim=-1) > 0
    after_end = torch.cat([torch.zeros_like(over[..., :1]), over[..., :-1]], dim=-1)
    assert torch.equal(given, torch.where(after_end, PAD, best))


@pytest.mark.parametrize("encoder_layers", [0, 1])
def test_exact_match_without_decoding_is_that_of_greedy_answers(encoder_layers: int) -> None:
    trial = gcd_trial(
        task={"kind": "gcd", "largest": 30, "top_class": 5},
        model={"kind": "transformer", "encoder_layers": encoder_layers, "width": 16, "heads": 2},
        optimizer={"kind": "adam", "lr": 5e-3},
        batch_size=32,
        budget={"steps": 150},
        evaluation={"points": 1, "examples": 700, "class_examples": 4},
    )
    (saved,) = [event for event in train([Start(trial)]) if isinstance(event, Saved)]
    layout = Layout(trial.model.parameters(trial.shape()))
    weights = layout.views(saved.tensors["weights"][None])
    with torch.no_grad():
        batch = held_out_batch([trial], 0, 700, torch.device("cpu"), trial.task)
        assert isinstance(batch, TokenBatch)
        assert isinstance(trial.model, TokenModel)
        best = trial.model.logits(weights, batch.question, batch.answer).argmax(dim=-1)
        forced = ((best == batch.answer) | (batch.answer == PAD)).all(dim=-1)
        given = trial.model.generate(weights, batch.question, batch.answer.shape[-1])
        (metrics,) = report_metrics(weights, [trial], torch.device("cpu"), 700)
    greedy = (given == batch.answer).all(dim=-1)
    assert torch.equal(forced, greedy)
    assert 0.2 < float(greedy.double().mean()) < 0.98
    assert metrics["accuracy"] == float(greedy.double().mean())


class Quadratic(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**2


@pytest.mark.parametrize("model", [c for c in CASES if c.values[0].kind == "mlp"])
def test_a_perceptron_is_the_one_of_torch(model: Any) -> None:
    layers: list[torch.nn.Module] = []
    names = {
        "relu": torch.nn.ReLU(),
        "silu": torch.nn.SiLU(),
        "tanh": torch.nn.Tanh(),
        "quadratic": Quadratic(),
    }
    sizes = [5, *[model.width] * model.layers, 3]
    weights = begun(model, SEVERAL, [4])
    for number, (before, after) in enumerate(pairwise(sizes)):
        linear = torch.nn.Linear(before, after)
        linear.weight.data = weights[f"{number}.weight"][0].T
        linear.bias.data = weights[f"{number}.bias"][0]
        layers += [linear, names[model.activation]]
    plain = torch.nn.Sequential(*layers[:-1])
    inputs = torch.randn(1, 20, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.outputs(weights, inputs)[0], plain(inputs[0]))
