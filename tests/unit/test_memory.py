"""The memory that a plan promises, against that of a process that trains."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trials import gcd_fields, gcd_trial, square_fields, square_trial
from trainers.config import trial_config
from trainers.memory import training_bytes
from trainers.models import positions
from trainers.models.position import Position
from trainers.plugins import kinds

MEASURED = """
import json, re, sys
from pathlib import Path
import torch
from tests.trials import gcd_trial
from trainers.batches import training_batch
from trainers.loop import steps_ahead
from trainers.engine.pack import Pack, Start
from trainers.machine import prepare

def steps(trial, count):
    pack = Pack.of([Start(trial)], torch.device("cpu"))
    batch = training_batch([trial], [0], steps_ahead([trial]), torch.device("cpu"))
    for step in range(count):
        pack.step(batch.part(step * trial.batch_size, (step + 1) * trial.batch_size))

def peak():  # of this process alone; getrusage begins with that of the process that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

prepare()
fields = json.loads(sys.argv[1])
small = {**fields["model"], "width": 64}
steps(gcd_trial(**{**fields, "model": small, "batch_size": 8}), 2)  # what torch itself loads
before = peak()
steps(gcd_trial(**fields), 3)
print(peak() - before)
"""


def fields(encoder: int, decoder: int, width: int, batch: int) -> dict[str, Any]:
    return {
        "task": {"kind": "gcd"},
        "model": {
            "kind": "transformer",
            "encoder_layers": encoder,
            "decoder_layers": decoder,
            "width": width,
            "heads": 8,
        },
        "batch_size": batch,
        "budget": {"steps": 10_000},
    }


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel counts it on Linux")
@pytest.mark.parametrize(
    ("encoder", "decoder", "width", "batch"),
    [
        (0, 4, 256, 256),
        (2, 2, 512, 128),
        pytest.param(8, 8, 1024, 128, marks=pytest.mark.slow),
    ],
)
def test_the_memory_of_a_step_is_predicted_within_20_percent(
    encoder: int, decoder: int, width: int, batch: int
) -> None:

    wanted = fields(encoder, decoder, width, batch)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps(wanted)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert training_bytes([gcd_trial(**wanted)]) == pytest.approx(int(done.stdout), rel=0.2)


def test_a_pack_takes_more_than_a_trial_and_less_than_as_many() -> None:
    trials = [gcd_trial(**fields(1, 1, 64, 32), seed=seed) for seed in range(4)]
    one, four = training_bytes(trials[:1]), training_bytes(trials)
    assert one < four < 4 * one  # the examples made ahead are as many for any pack


def test_numbers_have_a_memory_too() -> None:
    narrow, wide = (
        square_trial(model={"kind": "mlp", "width": width}, batch_size=1_000)
        for width in (1_000, 4_000)
    )
    assert training_bytes([wide]) > 3 * training_bytes([narrow])


@pytest.mark.parametrize("kind", kinds(positions, Position))
def test_every_position_can_be_played(kind: str) -> None:
    fields = {"kind": kind, "first": 5, "count": 10} if kind == "abacus" else {"kind": kind}
    trial = gcd_trial(model={"kind": "transformer", "width": 16, "heads": 2, "position": fields})
    assert training_bytes([trial]) > 16 * trial.cost().all_params


@pytest.mark.parametrize("cell", ["relu", "tanh", "lstm", "gru", "diagonal", "signed_diagonal"])
def test_every_cell_can_be_played(cell: str) -> None:
    trial = gcd_trial(model={"kind": "recurrent", "cell": cell, "width": 16})
    assert training_bytes([trial]) > 16 * trial.cost().all_params


def test_the_other_models_can_be_played() -> None:
    named = {"kind": "corrupted_modular", "modulus": 7}
    for fields in (
        gcd_fields(
            task=named,
            encoding={"kind": "characters"},
            model={"kind": "classifier", "width": 8},
        ),
        square_fields(task={"kind": "superposition"}, model={"kind": "autoencoder", "width": 8}),
        square_fields(
            task={"kind": "random_features"}, model={"kind": "random_features", "width": 8}
        ),
        square_fields(model={"kind": "ntk_mlp", "width": 8}),
    ):
        trial = trial_config(fields)
        assert training_bytes([trial]) > 16 * trial.cost().all_params
