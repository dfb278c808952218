"""What bfloat16 promises, for every model in the folder."""

import math
from typing import Any

import pytest
import torch

from tests.trials import gcd_fields, square_fields
from trainers import models
from trainers.batches import TokenBatch, training_batch
from trainers.config import TrialConfig, trial_config
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.engine.step import gradient_of
from trainers.forward import generated, predicted, states_and_logits
from trainers.loop import train
from trainers.models.model import Model
from trainers.models.stack import Layout
from trainers.plugins import kinds
from trainers.result import Ended, Reported, Saved

KINDS = kinds(models, Model)
CPU = torch.device("cpu")

_TRANSFORMER = {"kind": "transformer", "width": 32, "heads": 4}
TRAINED: dict[str, list[dict[str, Any]]] = {
    "transformer": [
        gcd_fields(model=_TRANSFORMER),
        gcd_fields(model={**_TRANSFORMER, "encoder_layers": 0, "decoder_layers": 2, "gated": True}),
        gcd_fields(model={**_TRANSFORMER, "encoder_layers": 0, "position": {"kind": "rope"}}),
        gcd_fields(
            model={**_TRANSFORMER, "norm": "post", "position": {"kind": "relative_key_query"}}
        ),
        gcd_fields(
            model={**_TRANSFORMER, "tied_embeddings": True, "decoder_layers": 0},
            loss="squared_error",
        ),
    ],
    "recurrent": [
        gcd_fields(model={"kind": "recurrent", "cell": cell, **size})
        for cell, size in (
            ("relu", {"width": 24, "layers": 2}),
            ("signed_diagonal", {"width": 24}),
            # small products: with eight trials, but not with one, torch takes another kernel
            ("lstm", {"width": 8, "embed": 3}),
            ("gru", {"width": 9, "embed": 16}),
        )
    ],
    "classifier": [
        gcd_fields(
            task={"kind": "corrupted_modular", "modulus": 7},
            encoding={"kind": "characters"},
            model={"kind": "classifier", "width": 32, "embed": 8},
        )
    ],
    "mlp": [square_fields(model={"kind": "mlp", "width": 33, "layers": 2})],
    "autoencoder": [
        square_fields(task={"kind": "superposition"}, model={"kind": "autoencoder", "width": 8})
    ],
    "random_features": [
        square_fields(
            task={"kind": "random_features"}, model={"kind": "random_features", "width": 16}
        )
    ],
    "ntk_mlp": [square_fields(model={"kind": "ntk_mlp", "width": 32})],
}
ROWS = [
    pytest.param(fields, id=f"{kind}-{number}")
    for kind, several in TRAINED.items()
    for number, fields in enumerate(several)
]


def trial(fields: dict[str, Any], **changes: Any) -> TrialConfig:
    evaluation = {**fields["evaluation"], "points": 4}
    optimizer = {"kind": "adam", "lr": 3e-3}
    shown = {"batch_size": 16, "budget": {"steps": 40}, "precision": "bfloat16"}
    return trial_config(
        {**fields, "evaluation": evaluation, "optimizer": optimizer, **shown, **changes}
    )


def test_every_model_of_the_folder_is_tested_here() -> None:
    assert set(TRAINED) == set(KINDS)


@pytest.mark.parametrize("fields", ROWS)
def test_a_trial_in_bfloat16_learns_and_keeps_its_weights_in_float32(fields: Any) -> None:
    events = list(train([Start(trial(fields))]))
    losses = [event.point.values["loss"] for event in events if isinstance(event, Reported)]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert {tensor.dtype for tensor in saved.tensors.values()} == {torch.float32}
    (outcome,) = [event.outcome for event in events if isinstance(event, Ended)]
    assert outcome.name == "finished"


@pytest.mark.parametrize("fields", ROWS)
def test_a_loss_in_bfloat16_is_near_that_in_float32_and_not_the_same(fields: Any) -> None:
    found = {}
    for precision in ("float32", "bfloat16"):
        config = trial(fields, precision=precision)
        layout = Layout(config.parameters())
        flat = layout.start([1, 2, 3])
        batch = training_batch([config] * 3, [0, 1, 2], 1, CPU)
        loss, gradient = gradient_of(config, layout, flat, batch)
        assert loss.dtype == gradient.dtype == torch.float32
        with torch.no_grad():
            said = predicted(config, layout.views(flat), batch)
        assert said.dtype == torch.float32
        found[precision] = loss, gradient, said
    exact, rounded = found["float32"], found["bfloat16"]
    if fields["model"]["kind"] != "random_features":  # its readout starts at zero, in any precision
        assert not torch.equal(exact[2], rounded[2])
    torch.testing.assert_close(rounded[0], exact[0], rtol=0.02, atol=1e-3)
    assert float((rounded[1] - exact[1]).norm() / exact[1].norm()) < 0.05


@pytest.mark.parametrize("fields", ROWS)
def test_in_bfloat16_a_trial_has_the_same_bits_in_packs_of_1_4_and_8(fields: Any) -> None:
    short = {"batch_size": 7, "evaluation": {"points": 1, "examples": 3, "class_examples": 1}}
    configs = [
        trial(fields, seed=seed, budget={"steps": 5 + seed % 2}, **short) for seed in range(8)
    ]
    alone = {event.key: event for one in configs for event in saved([one])}
    for together in (configs[2:6], configs):
        for event in saved(together):
            for name, tensor in event.tensors.items():
                assert torch.equal(tensor, alone[event.key].tensors[name])


def saved(configs: list[TrialConfig]) -> list[Saved]:
    events = train([Start(config) for config in configs])
    return [event for event in events if isinstance(event, Saved)]


def test_greedy_answers_and_their_logits_are_made_in_the_same_precision() -> None:
    config = trial(gcd_fields(model=_TRANSFORMER), evaluation={"points": 1, "examples": 8})
    layout = Layout(config.parameters())
    weights = layout.views(layout.start([1, 2]))
    batch = training_batch([config] * 2, [0, 0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    with torch.no_grad():
        _, logits = states_and_logits(config, weights, batch)
        answers = generated(config, weights, batch.question, batch.answer.shape[-1])
    assert torch.equal(logits, logits.to(torch.bfloat16).to(torch.float32))
    assert torch.equal(answers[..., 0], logits[..., 0, :].argmax(dim=-1))


@pytest.mark.parametrize("fields", ROWS)
def test_layers_that_are_made_again_are_made_in_bfloat16(fields: Any) -> None:
    config = trial(fields)
    layout = Layout(config.parameters())
    flat = layout.start([1, 2])
    batch = training_batch([config] * 2, [0, 1], 1, CPU)
    _, gradient = gradient_of(config, layout, flat, batch)
    _, again = gradient_of(config, layout, flat, batch, Execution(recompute=True))
    assert torch.equal(again, gradient)
