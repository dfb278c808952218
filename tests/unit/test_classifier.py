import math

import numpy as np
import pytest
import torch
from torch import Tensor

from trainers.config import trial_config
from trainers.data.encoding import END, PAD
from trainers.data.shape import TokenShape
from trainers.data.tasks.corrupted_modular import phase
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.classifier import Classifier, participation
from trainers.models.stack import Layout, Weights
from trainers.result import Ended, Reported

P = 23
SUM = TokenShape(vocabulary=3 + P, question=2, answer=1)
QUADRATIC = Classifier(width=40, activation="quadratic", biases=False, start="cubic")


def begun(model: Classifier, shape: TokenShape, seeds: list[int]) -> Weights:
    layout = Layout(model.parameters(shape))
    return layout.views(layout.start(seeds))


def pairs(trials: int, batch: int) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(3, 3 + P, (trials, batch, 2), generator=random)


def test_the_quadratic_network_is_its_formula() -> None:
    """f = W (U e_m + V e_n)^2 with one-hot e."""
    weights = begun(QUADRATIC, SUM, [1, 2])
    question = pairs(2, 30)
    logits = QUADRATIC.logits(weights, question, question[..., :1])[..., 0, :]
    for trial in range(2):
        u, v = weights["0.weight"][trial].unflatten(0, (2, 3 + P)).mT
        w = weights["head"][trial, 0].T
        m, n = (torch.nn.functional.one_hot(t, 3 + P).float() for t in question[trial].T)
        wanted = ((m @ u.T + n @ v.T) ** 2) @ w.T
        torch.testing.assert_close(logits[trial], wanted)


def test_it_starts_with_the_published_variance() -> None:
    model = Classifier(width=500, activation="quadratic", biases=False, start="cubic")
    weights = begun(model, TokenShape(100, 2, 1), [0])
    assert set(weights) == {"0.weight", "head"}
    for part in weights.values():
        assert float(part.var()) == pytest.approx((16 * 500) ** (-2 / 3), rel=0.03)


@pytest.mark.parametrize("combine", ["concatenate", "sum"])
@pytest.mark.parametrize("embed", [None, 6])
def test_places_have_inputs_of_their_own_and_padding_adds_nothing(
    combine: str, embed: int | None
) -> None:
    shape = TokenShape(vocabulary=9, question=4, answer=2)
    model = Classifier.model_validate(
        {"width": 12, "layers": 2, "activation": "tanh", "combine": combine, "embed": embed}
    )
    weights = begun(model, shape, [3])
    question = torch.tensor([[[4, 7, PAD, 5], [8, PAD, PAD, PAD]]])
    first, bias = weights["0.weight"][0], weights["0.bias"][0]
    for row, tokens in enumerate(question[0].tolist()):
        inputs = bias.clone()
        for place, token in enumerate(tokens):
            if token == PAD:
                continue
            if embed is None:
                inputs += first[token + 9 * place * (combine == "concatenate")]
            else:
                vector = weights["place"][0, 9 * place + token]
                own = first.unflatten(0, (4, 6))[place] if combine == "concatenate" else first
                inputs += vector @ own
        hidden = torch.tanh(inputs)
        hidden = torch.tanh(hidden @ weights["1.weight"][0] + weights["1.bias"][0])
        wanted = torch.stack([hidden @ weights["head"][0, place] for place in range(2)])
        wanted = wanted + weights["head.bias"][0]
        found = model.logits(weights, question, question[..., :2])[0, row]
        torch.testing.assert_close(found, wanted)


def test_each_place_of_the_answer_is_its_own_argmax_and_nothing_follows_the_end() -> None:
    model = Classifier(width=32)
    shape = TokenShape(vocabulary=6, question=3, answer=4)
    weights = begun(model, shape, [5])
    question = torch.randint(3, 6, (1, 300, 3), generator=torch.Generator().manual_seed(1))
    best = model.logits(weights, question, question.new_zeros(1, 300, 4)).argmax(dim=-1)[0]
    given = model.generate(weights, question, 4)[0]
    ended = 0
    for row, answer in zip(best.tolist(), given.tolist(), strict=True):
        ends = [place for place, token in enumerate(row) if token in (END, PAD)]
        stop = ends[0] + 1 if ends else 4
        assert answer == row[:stop] + [PAD] * (4 - stop)
        ended += stop < 4
    assert ended > 20


def test_a_single_frequency_has_the_participation_one_and_a_dead_row_none() -> None:
    symbol = torch.arange(P, dtype=torch.float64)
    waves = torch.stack([torch.cos(2 * math.pi * k * symbol / P + k) for k in (1, 4, 11)])
    torch.testing.assert_close(participation(waves), torch.ones(3, dtype=torch.float64))
    assert float(participation(torch.zeros(P))) == 0.0
    # a single symbol has all 12 frequencies alike
    assert float(participation(torch.eye(P)[4])) == pytest.approx(1 / 12)
    rows = np.random.default_rng(0).standard_normal((50, P))
    spectrum = np.abs(np.fft.rfft(rows))
    norms = [np.linalg.norm(spectrum, ord=order, axis=1) for order in (4, 2)]
    wanted = torch.from_numpy((norms[0] / norms[1]) ** 4)
    torch.testing.assert_close(participation(torch.from_numpy(rows)), wanted)


def with_waves(weights: Weights, waves: list[int], dead: list[int]) -> Weights:
    """Some neurons tied to one frequency at inputs and outputs, and some to nothing at all."""
    first, head = weights["0.weight"].clone(), weights["head"].clone()
    symbol = torch.arange(P)
    for k, neuron in enumerate(waves, start=1):
        wave = torch.cos(2 * math.pi * k * symbol / P)
        first[0, 3 : 3 + P, neuron] = wave
        first[0, 6 + P :, neuron] = 3 * wave
        head[0, 0, neuron, 3:] = wave
    for neuron in dead:
        first[0, :, neuron], head[0, 0, neuron] = 0.0, 0.0
    return {"0.weight": first, "head": head}


def test_periodic_neurons_are_worth_most_and_are_pruned_last() -> None:
    waves, dead = [3, 17, 30], [5, 6]
    weights = with_waves(begun(QUADRATIC, SUM, [1]), waves, dead)
    worth = QUADRATIC.importance(weights)[0]
    torch.testing.assert_close(worth[waves], torch.ones(3, dtype=torch.float64))
    assert worth[dead].tolist() == [0.0, 0.0]
    assert bool(worth.isfinite().all())
    # special tokens count for nothing
    first = weights["0.weight"].clone()
    first[0, :3], first[0, 3 + P : 6 + P] = 100.0, -100.0
    changed = QUADRATIC.importance({**weights, "0.weight": first})[0]
    torch.testing.assert_close(changed, worth)
    left = QUADRATIC.pruned(weights, 37 / 40)["head"][0, 0]
    assert left.any(dim=1).nonzero().flatten().tolist() == waves
    torch.testing.assert_close(left[waves], weights["head"][0, 0][waves])
    assert torch.equal(QUADRATIC.pruned(weights, 2 / 40)["head"], weights["head"])  # the dead ones
    question = pairs(1, 9)
    whole = QUADRATIC.logits(weights, question, question[..., :1])
    alone = QUADRATIC.logits(QUADRATIC.pruned(weights, 0.0), question, question[..., :1])
    assert torch.equal(whole, alone)


@pytest.mark.parametrize("combine", ["concatenate", "sum"])
def test_embedded_inputs_have_the_importance_of_the_same_function_without_a_table(
    combine: str,
) -> None:
    embedded = Classifier.model_validate(
        {"embed": 7, "width": 9, "combine": combine, "biases": False, "layers": 1}
    )
    weights = begun(embedded, SUM, [2])
    table = weights["place"].unflatten(1, (2, 3 + P))
    own = weights["0.weight"].unflatten(1, (-1, 7))
    one_hot = {"0.weight": (table @ own).flatten(1, 2), "head": weights["head"]}
    plain = Classifier(width=9, biases=False)
    question = pairs(1, 20)
    answer = question[..., :1]
    torch.testing.assert_close(
        embedded.logits(weights, question, answer), plain.logits(one_hot, question, answer)
    )
    torch.testing.assert_close(embedded.importance(weights), plain.importance(one_hot))


def test_pruning_neurons_of_the_first_of_several_layers_cuts_what_they_feed() -> None:
    model = Classifier(width=10, layers=2)
    weights = begun(model, SUM, [1])
    left = model.pruned(weights, 0.3)
    gone = (left["1.weight"] == 0).all(dim=2)
    assert int(gone.sum()) == 3
    worth = model.importance(weights)
    assert float(worth[gone].max()) < float(worth[~gone].min())
    assert torch.equal(left["head"], weights["head"])


def corrupted(weight_decay: float, steps: int) -> tuple[dict[str, float], dict[str, float]]:
    """The published cell: p = 97, width 500, half of the table, 35 % of its answers wrong."""
    half = round(97**2 / 2)
    config = trial_config(
        {
            "task": {"kind": "corrupted_modular"},
            "encoding": {"kind": "characters"},
            "data": {"distinct": half, "order": "cycle", "corrupt": 0.35},
            "model": {**QUADRATIC.model_dump(exclude={"parametrisation"}), "width": 500},
            "loss": "squared_error",
            "optimizer": {"kind": "adamw", "lr": 0.01, "beta2": 0.98, "weight_decay": weight_decay},
            "batch_size": half,
            "budget": {"steps": steps},
            "evaluation": {
                "points": 1,
                "examples": 97**2 - half,
                "training_examples": half,
                "prune": [0.7],
            },
        }
    )
    events = list(train([Start(config)]))
    (report,) = [event for event in events if isinstance(event, Reported)]
    (ended,) = [event for event in events if isinstance(event, Ended)]
    return report.point.values, dict(ended.outcome.metrics)


@pytest.mark.slow
def test_the_published_cells_show_coexistence_full_inversion_and_what_pruning_removes() -> None:
    inverted, _ = corrupted(15.0, 500)
    assert phase(inverted["train/accuracy"], inverted["accuracy"], 0.35) == "full inversion"
    assert inverted["train/accuracy"] == pytest.approx(0.65, abs=0.02)  # published: about 65 %
    both, pruned = corrupted(0.0, 800)
    assert phase(both["train/accuracy"], both["accuracy"], 0.35) == "coexistence"
    assert both["train/corrupted_accuracy"] > 0.85
    assert pruned["pruned_70/train_corrupted_accuracy"] < 0.1
    assert pruned["pruned_70/accuracy"] > both["accuracy"] - 0.01
