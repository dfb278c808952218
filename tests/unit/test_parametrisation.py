from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.trials import gcd_trial, square_trial
from trainers.batches import NumberBatch, TokenBatch, training_batch
from trainers.config import TrialConfig
from trainers.engine.pack import Pack, Start
from trainers.models.model import NumberModel, TokenModel
from trainers.models.parametrisation import DepthMup, Mup
from trainers.models.stack import Parameter

CPU = torch.device("cpu")
BATCH = 16
STEPS = 4
SEEDS = 2

STANDARD = {"kind": "standard"}
MUP = {"kind": "mup", "base_width": 32, "base_head": 8}
DEPTH_MUP = {"kind": "depth_mup", "base_width": 32, "base_head": 8}

ADAM = {"kind": "adam", "lr": 3e-3}
SGD = {"kind": "sgd", "lr": 0.1}


def transformer(**fields: Any) -> dict[str, Any]:
    return {"kind": "transformer", "width": 32, "heads": 4, **fields}


def decoder(layers: int, **fields: Any) -> dict[str, Any]:
    return transformer(encoder_layers=0, decoder_layers=layers, **fields)


def parameters(trial: TrialConfig) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in trial.parameters()}


# The rules themselves


def test_mup_is_the_published_table() -> None:
    """With r = 8 times the width: Yang et al. 2022, arXiv:2203.03466, tables 3 and 8."""
    here = parameters(gcd_trial(model=transformer(width=256, parametrisation=MUP)))
    base = parameters(gcd_trial(model=transformer(width=32)))

    def rules(name: str) -> tuple[float, float, float]:
        own = here[name]
        assert own.start == base[name].start
        scale = own.scale / base[name].scale if base[name].scale else 1.0
        return pytest.approx((scale, own.rate, own.sgd_rate), rel=1e-12)

    hidden = ["self.query", "self.memory", "self.out", "cross.query", "mlp.in", "mlp.out"]
    for name in hidden:
        assert rules(f"decoder.0.{name}.weight") == (8**-0.5, 1 / 8, 1)
        assert rules(f"decoder.0.{name}.bias") == (1, 1, 8)
    for name in ("token", "encoder.place", "decoder.place"):
        assert rules(name) == (1, 1, 8)
    for name in ("encoder.norm", "decoder.norm", "decoder.0.mlp.norm"):
        assert rules(f"{name}.gain") == (1, 1, 8)
        assert rules(f"{name}.shift") == (1, 1, 8)
    assert rules("head.weight") == (1 / 8, 1 / 8, 1 / 8)
    assert rules("head.bias") == (1, 1, 1)


def test_a_perceptron_in_mup_is_the_published_table() -> None:
    fields = {"kind": "mlp", "layers": 2}
    here = parameters(square_trial(model={**fields, "width": 256, "parametrisation": MUP}))
    base = parameters(square_trial(model={**fields, "width": 32}))
    found = {
        name: (own.scale / base[name].scale, own.rate, own.sgd_rate) for name, own in here.items()
    }
    wanted = {
        "0.weight": (1, 1, 8),
        "0.bias": (1, 1, 8),
        "1.weight": (8**-0.5, 1 / 8, 1),
        "1.bias": (1, 1, 8),
        "2.weight": (1 / 8, 1 / 8, 1 / 8),
        "2.bias": (1, 1, 1),
    }
    assert set(found) == set(wanted)
    for name, each in wanted.items():
        assert found[name] == pytest.approx(each), name


def test_depth_mup_slows_the_layers_of_each_side_by_the_root_of_their_number() -> None:
    """Yang et al. 2023, arXiv:2310.02244: 1 / sqrt(depth) for Adam, nothing more for SGD."""
    model = transformer(encoder_layers=4, decoder_layers=9)
    wide = parameters(gcd_trial(model={**model, "parametrisation": MUP}))
    deep = parameters(gcd_trial(model={**model, "parametrisation": DEPTH_MUP}))
    for name, own in deep.items():
        side, _, rest = name.partition(".")
        factor = {"encoder": 1 / 2, "decoder": 1 / 3}[side] if rest[:1].isdigit() else 1.0
        assert own.rate == pytest.approx(wide[name].rate * factor), name
        assert own.sgd_rate == wide[name].sgd_rate
        assert own.scale == wide[name].scale
    assert DepthMup(base_depth=2).branch(8) == 0.5


def test_scores_shrink_with_the_width_of_a_head_and_not_with_its_root() -> None:
    for rules in (Mup(base_head=16), DepthMup(base_head=16)):
        assert [rules.attention(head) * head**-0.5 for head in (16, 32, 64)] == pytest.approx(
            [1 / 4, 1 / 8, 1 / 16]
        )


@pytest.mark.parametrize("rules", [MUP, DEPTH_MUP], ids=["mup", "depth_mup"])
@pytest.mark.parametrize(
    "fields", [{}, {"tied_embeddings": True, "position": {"kind": "sinusoidal"}}], ids=str
)
def test_at_the_base_nothing_changes(rules: dict[str, Any], fields: dict[str, Any]) -> None:
    own, base = (
        trained(gcd_trial(model=transformer(**fields, parametrisation=kind), optimizer=ADAM))
        for kind in (rules, STANDARD)
    )
    assert torch.equal(own, base)


def test_existing_models_keep_their_key() -> None:
    plain = gcd_trial(model=transformer())
    assert plain.key() == gcd_trial(model=transformer(parametrisation=STANDARD)).key()
    assert plain.key() != gcd_trial(model=transformer(parametrisation=MUP)).key()


@pytest.mark.parametrize("change", [{"norm": "post"}, {"shared_layers": True}, {"gated": True}])
def test_depth_mup_is_refused_where_it_is_not_derived(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected norm pre, no shared_layers and no gated"):
        gcd_trial(model=transformer(**change, parametrisation=DEPTH_MUP))


def test_a_perceptron_has_no_residual_branches() -> None:
    with pytest.raises(ValueError, match="expected one of standard, mup"):
        square_trial(model={"kind": "mlp", "width": 4, "parametrisation": DEPTH_MUP})
    with pytest.raises(ValidationError):
        Mup(base_width=0)


# Coordinate checks: what the rules are for


def pack(trials: list[TrialConfig]) -> Pack:
    return Pack.of([Start(trial) for trial in trials], CPU)


def steps(of: Pack) -> None:
    batch = training_batch(of.configs, [0] * len(of.configs), STEPS, CPU)
    size = of.configs[0].batch_size
    for step in range(STEPS):
        of.step(batch.part(step * size, (step + 1) * size))


def trained(trial: TrialConfig) -> Tensor:
    made = pack([trial])
    steps(made)
    return made.flat


def outputs(of: Pack) -> Tensor:
    """Logits or predictions for examples that are not trained on."""
    batch = training_batch(of.configs, [900] * len(of.configs), 1, CPU)
    model, weights = of.configs[0].model, of.layout.views(of.flat)
    with torch.no_grad():
        if isinstance(model, TokenModel):
            return model.scores(weights, states(of))
        assert isinstance(batch, NumberBatch)
        assert isinstance(model, NumberModel)
        return model.outputs(weights, batch.inputs)


def states(of: Pack) -> Tensor:
    batch = training_batch(of.configs, [900] * len(of.configs), 1, CPU)
    model = of.configs[0].model
    assert isinstance(batch, TokenBatch)
    assert isinstance(model, TokenModel)
    with torch.no_grad():
        return model.states(of.layout.views(of.flat), batch.question, batch.answer)


def size(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def updates(trials: list[list[TrialConfig]]) -> list[float]:
    """How far the outputs of each pack move in a few steps, as a root mean square."""
    moved = []
    for same in trials:
        made = pack(same)
        before = outputs(made)
        steps(made)
        moved.append(size(outputs(made) - before))
    return moved


def slope(x: tuple[int, ...], y: list[float]) -> float:
    """Of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def seeds(make: Any, model: dict[str, Any], optimizer: dict[str, Any]) -> list[TrialConfig]:
    return [
        make(model=model, optimizer=optimizer, batch_size=BATCH, budget={"steps": 1000}, seed=seed)
        for seed in range(SEEDS)
    ]


WIDTHS = (32, 64, 128, 256)


def over_width(rules: dict[str, Any], optimizer: dict[str, Any], **fields: Any) -> float:
    models = [transformer(width=width, parametrisation=rules, **fields) for width in WIDTHS]
    return slope(WIDTHS, updates([seeds(gcd_trial, model, optimizer) for model in models]))


@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
def test_logits_of_wider_transformers_move_equally_in_mup_and_ever_more_in_standard(
    optimizer: dict[str, Any],
) -> None:
    assert abs(over_width(MUP, optimizer)) < 0.2
    assert over_width(STANDARD, optimizer) > 0.3


@pytest.mark.parametrize(
    "fields",
    [
        {"tied_embeddings": True, "encoder_layers": 0},
        {"position": {"kind": "sinusoidal"}, "encoder_layers": 0},
        {"position": {"kind": "relative_key_query"}, "encoder_layers": 0},
        {"gated": True, "encoder_layers": 0},
        {"norm": "post", "decoder_layers": 0},
    ],
    ids=str,
)
def test_every_kind_of_transformer_moves_equally_at_all_widths_in_mup(
    fields: dict[str, Any],
) -> None:
    assert abs(over_width(MUP, ADAM, **fields)) < 0.2


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "recurrent", "cell": "lstm"},
        {"kind": "recurrent", "cell": "gru", "embed": 16, "layers": 2},
        {"kind": "recurrent", "cell": "tanh", "xavier_gain": 1.0},
        {"kind": "recurrent", "cell": "signed_diagonal", "layers": 2},
        {"kind": "classifier", "layers": 2},
        {"kind": "classifier", "embed": 16, "combine": "sum"},
    ],
    ids=str,
)
def test_every_other_model_of_tokens_moves_equally_at_all_widths_in_mup(
    fields: dict[str, Any],
) -> None:
    models = [{**fields, "width": width, "parametrisation": MUP} for width in WIDTHS]
    moved = updates([seeds(gcd_trial, model, ADAM) for model in models])
    assert abs(slope(WIDTHS, moved)) < 0.2


def test_a_start_with_its_own_rule_of_width_takes_no_other_rule() -> None:
    with pytest.raises(ValueError, match="expected start variance with mup, got cubic"):
        gcd_trial(model={"kind": "classifier", "start": "cubic", "parametrisation": MUP})


@pytest.mark.parametrize(
    "optimizer", [{"kind": "adam", "lr": 1e-2}, {"kind": "sgd", "lr": 0.1}], ids=["adam", "sgd"]
)
def test_outputs_of_wider_perceptrons_move_equally_in_mup(optimizer: dict[str, Any]) -> None:
    models = [
        {"kind": "mlp", "width": width, "layers": 3, "parametrisation": MUP}
        for width in (32, 64, 128, 256, 512)
    ]
    moved = updates([seeds(square_trial, model, optimizer) for model in models])
    assert abs(slope((32, 64, 128, 256, 512), moved)) < 0.15


def stream_updates(
    rules: dict[str, Any], depths: tuple[int, ...], patch: pytest.MonkeyPatch
) -> list[float]:
    """How far the stream moves before the last norm, which would hide how large it is."""
    moved = []
    for depth in depths:
        made = pack(seeds(gcd_trial, decoder(depth, parametrisation=rules), ADAM))
        before = stream(made, patch)
        steps(made)
        moved.append(size(stream(made, patch) - before))
    return moved


def stream(of: Pack, patch: pytest.MonkeyPatch) -> Tensor:
    with patch.context() as here:
        here.setattr("trainers.models.transformer.layer_norm", lambda weights, name, x: x)
        return states(of)


def test_the_stream_of_deeper_transformers_moves_equally_in_depth_mup_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    depths = (4, 8, 16, 32)
    assert abs(slope(depths, stream_updates(DEPTH_MUP, depths, monkeypatch))) < 0.2
    assert slope(depths, stream_updates(MUP, depths, monkeypatch)) > 0.6
