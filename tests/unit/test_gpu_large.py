"""Large trials on CUDA devices: bfloat16, parts, layers made again, two ranks; run with `pytest -m gpu`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trials import gcd_trial
from trainers.batches import training_batch
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.engine.ranks import meet, part_company
from trainers.engine.step import gradient_of
from trainers.loop import train
from trainers.memory import training_bytes
from trainers.models.stack import Layout
from trainers.result import Ended, Reported, Saved

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

MODEL = {"kind": "transformer", "encoder_layers": 2, "decoder_layers": 2, "width": 256, "heads": 8}


def trial(**changes: Any) -> TrialConfig:
    return gcd_trial(**{"model": MODEL, "batch_size": 256, **changes})


def gradient(config: TrialConfig, execution: Execution) -> torch.Tensor:
    layout = Layout(config.parameters())
    flat = layout.start([0]).cuda()
    batch = training_batch([config], [0], 1, torch.device("cuda"))
    return gradient_of(config, layout, flat, batch, execution)[1]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "execution", [Execution(parts=4), Execution(recompute=True), Execution("eager", 4, True)]
)
def test_parts_and_layers_made_again_give_the_gradient_of_the_whole(
    execution: Execution, precision: str
) -> None:
    config = trial(precision=precision)
    whole = gradient(config, Execution())
    close = 1e-4 if precision == "float32" else 2e-2
    assert float((gradient(config, execution) - whole).norm() / whole.norm()) < close


def test_bfloat16_learns_and_keeps_its_weights_in_float32() -> None:
    events = list(train([Start(trial(precision="bfloat16"))], device="cuda"))
    losses = [event.point.values["loss"] for event in events if isinstance(event, Reported)]
    assert losses[-1] < losses[0]
    (saved,) = [event for event in events if isinstance(event, Saved)]
    assert saved.tensors["weights"].dtype == torch.float32
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome.name == "finished"


@pytest.mark.parametrize(
    "execution", [Execution(), Execution(parts=4), Execution(recompute=True)], ids=str
)
def test_the_memory_of_a_step_is_predicted_within_a_third(execution: Execution) -> None:
    few = {"points": 1, "examples": 8, "class_examples": 1}
    config = trial(batch_size=2_048, evaluation=few, budget={"steps": 3})
    taken = 0
    for _ in range(2):  # first what libraries take for themselves
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        list(train([Start(config)], device="cuda", execution=execution))
        taken = torch.cuda.max_memory_allocated() - before
    promised = training_bytes([config], "cuda", execution)
    print(execution.words, f"{promised:,} promised, {taken:,} taken")
    assert promised == pytest.approx(taken, rel=1 / 3)


FOLLOWER = """
import sys
from pathlib import Path
from trainers.machine import prepare
from trainers.engine.ranks import follow, meet
prepare()
meet(Path(sys.argv[1]), 1, 2, "cuda")
follow("cuda")
"""


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_give_the_gradient_of_one(tmp_path: Path) -> None:
    config = trial(batch_size=255)
    whole = gradient(config, Execution())
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "1"}
    with subprocess.Popen([sys.executable, "-c", FOLLOWER, tmp_path], env=environment) as other:
        try:
            meet(tmp_path, 0, 2, "cuda")
            shared = gradient(config, Execution(ranks=2))
            part_company()
            assert other.wait(60) == 0
        finally:
            other.kill()
    assert float((shared - whole).norm() / whole.norm()) < 1e-4
