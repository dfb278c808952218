import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trials import natural_loss
from trainers.batches import TokenBatch
from trainers.config import TrialConfig, trial_config
from trainers.data.encoding import PAD, START
from trainers.data.shape import TokenShape
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.recurrent import Recurrent
from trainers.models.stack import Layout, Weights
from trainers.result import Reported

SHAPE = TokenShape(vocabulary=8, question=6, answer=3)


def begun(model: Recurrent, seeds: list[int]) -> Weights:
    layout = Layout(model.parameters(SHAPE))
    return layout.views(layout.start(seeds))


def tokens(trials: int, batch: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    question = torch.randint(3, 8, (trials, batch, 6), generator=random)
    return question, torch.randint(3, 8, (trials, batch, 3), generator=random)


def of_torch(model: Recurrent, weights: Weights) -> torch.nn.RNNBase:
    """The same network, of torch; it adds two biases, of which ours is the sum."""
    inputs = model.embed or SHAPE.vocabulary
    kinds: dict[str, Any] = {
        "relu": lambda *a, **k: torch.nn.RNN(*a, nonlinearity="relu", **k),
        "tanh": torch.nn.RNN,
        "lstm": torch.nn.LSTM,
        "gru": torch.nn.GRU,
    }
    net = kinds[model.cell](inputs, model.width, model.layers, batch_first=True)
    for layer in range(model.layers):
        bias = weights[f"{layer}.input.bias"][0]
        state_bias = torch.zeros_like(bias)
        if model.cell == "gru":
            state_bias[2 * model.width :] = weights[f"{layer}.state.bias"][0]
        net.get_parameter(f"weight_ih_l{layer}").data = weights[f"{layer}.input.weight"][0].T
        net.get_parameter(f"weight_hh_l{layer}").data = weights[f"{layer}.state.weight"][0].T
        net.get_parameter(f"bias_ih_l{layer}").data = bias
        net.get_parameter(f"bias_hh_l{layer}").data = state_bias
    return net


@pytest.mark.parametrize("cell", ["relu", "tanh", "lstm", "gru"])
@pytest.mark.parametrize(("layers", "embed", "first"), [(1, None, 1.0), (3, 5, 0.0)])
def test_a_network_is_the_one_of_torch(
    cell: Any, layers: int, embed: int | None, first: float
) -> None:
    model = Recurrent(cell=cell, layers=layers, width=7, embed=embed, first_state=first)
    weights = begun(model, [3])
    question, answer = tokens(1, 10)
    read = torch.cat([question, torch.full_like(answer[..., :1], START), answer[..., :-1]], dim=-1)
    one_hot = torch.nn.functional.one_hot(read[0], SHAPE.vocabulary).float()
    inputs = one_hot if embed is None else weights["token"][0][read[0]]
    start = torch.full((layers, 10, 7), first)
    outputs, _ = of_torch(model, weights)(inputs, (start, start) if cell == "lstm" else start)
    torch.testing.assert_close(model.states(weights, question, answer)[0], outputs[:, -3:])
    logits = outputs[:, -3:] @ weights["head.weight"][0] + weights["head.bias"][0]
    torch.testing.assert_close(model.logits(weights, question, answer)[0], logits)


@pytest.mark.parametrize("cell", ["diagonal", "signed_diagonal"])
def test_a_linear_cell_is_its_recurrence(cell: Any) -> None:
    model = Recurrent(cell=cell, width=5, embed=4, start_token=False, first_state=0.5)
    weights = begun(model, [3])
    question, answer = tokens(1, 1)
    state = [0.5] * 5
    read = [*question[0, 0].tolist(), *answer[0, 0, :-1].tolist()]
    outputs = []
    for token in read:
        given = (
            weights["token"][0][token] @ weights["0.input.weight"][0] + weights["0.input.bias"][0]
        )
        decay, update, gate = (part.tolist() for part in given.split(5))
        sigmoid = [1 / (1 + math.exp(-a)) for a in decay]
        if cell == "signed_diagonal":
            assert all(-1 < 2 * a - 1 < 1 for a in sigmoid)
            sigmoid = [2 * a - 1 for a in sigmoid]
        state = [a * h + u for a, h, u in zip(sigmoid, state, update, strict=True)]
        outputs.append([h * z / (1 + math.exp(-z)) for h, z in zip(state, gate, strict=True)])
    found = model.states(weights, question, answer)[0, 0]
    torch.testing.assert_close(found, torch.tensor(outputs[-3:]), rtol=1e-4, atol=1e-5)


CELLS = ["relu", "tanh", "lstm", "gru", "diagonal", "signed_diagonal"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("start_token", [True, False])
def test_padding_is_skipped_wherever_it_stands(cell: Any, start_token: bool) -> None:
    model = Recurrent(cell=cell, width=6, layers=2, start_token=start_token, first_state=1.0)
    weights = begun(model, [1])
    question, answer = tokens(1, 4)
    plain = model.logits(weights, question, answer)
    for places in ([0, 1, 2, 3, 4, 5, 9, 9], [9, 0, 1, 9, 2, 3, 4, 5], [9, 9, 0, 1, 2, 3, 4, 5]):
        row = torch.cat([question, torch.full_like(question, PAD)], dim=-1)[..., places]
        torch.testing.assert_close(model.logits(weights, row, answer), plain)


@pytest.mark.parametrize("cell", CELLS)
def test_no_bit_depends_on_how_long_the_questions_of_a_neighbour_are(cell: Any) -> None:
    model = Recurrent(cell=cell, width=9, layers=2, embed=5)
    layout = Layout(model.parameters(SHAPE))
    question, answer = tokens(2, 7)
    question[0, :, 2:] = PAD
    question[1, 3:, 4:] = PAD
    losses, gradients = [], []
    for rows in ([0, 1], [0]):
        flat = layout.start([4, 5])[rows].requires_grad_()
        loss = natural_loss(
            model, layout.views(flat), TokenBatch(question=question[rows], answer=answer[rows])
        )
        losses.append(loss.detach()[0])
        gradients.append(torch.autograd.grad(loss.sum(), flat)[0][0])
    assert torch.equal(*losses)
    assert torch.equal(*gradients)


def test_weights_start_by_glorots_rule_or_within_the_inverse_root_of_the_width() -> None:
    shape = TokenShape(vocabulary=5, question=3, answer=1)
    layout = Layout(Recurrent(cell="relu", width=400, xavier_gain=0.1).parameters(shape))
    weights = layout.views(layout.start([0]))
    for name, inputs, outputs in (("0.input", 5, 400), ("0.state", 400, 400), ("head", 400, 5)):
        wanted = 0.1 * math.sqrt(2 / (inputs + outputs))
        assert float(weights[f"{name}.weight"].std()) == pytest.approx(wanted, rel=0.06)
    assert not bool(weights["0.input.bias"].any())
    layout = Layout(Recurrent(cell="lstm", width=400).parameters(shape))
    for part in layout.views(layout.start([0])).values():
        assert float(part.abs().max()) <= 0.05
        assert part.numel() < 100 or float(part.abs().mean()) == pytest.approx(0.025, rel=0.1)


def parity(
    model: dict[str, Any], longest: int, steps: int, test: int, **fields: Any
) -> TrialConfig:
    """Every batch holds sequences of one length."""
    return trial_config(
        {
            "task": {"kind": "parity", "length": [1, longest], "run": 64},
            "encoding": {"kind": "characters"},
            "model": {"kind": "recurrent", **model},
            "batch_size": 64,
            "budget": {"steps": steps},
            "evaluation": {"points": 1, "examples": 400},
            "evaluate": {"long": {"task": {"length": [test, test]}}},
            **fields,
        }
    )


def last(config: TrialConfig) -> dict[str, float]:
    (report,) = [event for event in train([Start(config)]) if isinstance(event, Reported)]
    return report.point.values


def test_a_linear_network_learns_parity_with_negative_eigenvalues_and_not_without() -> None:
    """Grazzi et al. 2024, arXiv:2411.12537: eigenvalues in [0, 1] cannot solve parity."""
    found = {
        cell: last(
            parity({"cell": cell, "width": 16}, 12, 500, 12, optimizer={"kind": "adam", "lr": 0.02})
        )
        for cell in ("diagonal", "signed_diagonal")
    }
    assert found["signed_diagonal"]["long/accuracy"] > 0.99
    assert found["diagonal"]["long/accuracy"] < 0.7


@pytest.mark.slow
def test_streaming_parity_is_exact_far_beyond_the_lengths_of_training() -> None:
    """The published network trained on lengths up to 6 finds the automaton of two states.

    The learning rate is 5/2 of the published one: the loss is the mean over five tokens here, and
    over two there.
    """
    model = {
        "cell": "relu",
        "width": 100,
        "start_token": False,
        "first_state": 1.0,
        "xavier_gain": 0.1,
    }
    found = last(
        parity(model, 6, 9_000, 1_000, loss="squared_error", optimizer={"kind": "sgd", "lr": 0.05})
    )
    assert found["accuracy"] == 1.0
    assert found["long/accuracy"] == 1.0
    assert found["long/test_loss"] < 1e-3
