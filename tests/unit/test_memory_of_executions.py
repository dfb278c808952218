"""What parts, recomputed layers and bfloat16 save, as promised and as a process that trains has it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trials import gcd_trial
from tests.unit.test_memory import fields
from trainers.engine.execution import Execution
from trainers.memory import executions, fitting_execution, training_bytes

MEASURED = """
import json, re, sys
from pathlib import Path
import torch
from tests.trials import gcd_trial
from trainers.batches import training_batch
from trainers.engine.execution import Execution
from trainers.loop import steps_ahead
from trainers.machine import prepare
from trainers.models.stack import Layout
from trainers.optim import Moments, Updater
from trainers.engine.step import gradient_of

def steps(trial, count, execution):
    layout = Layout(trial.parameters())
    flat = layout.start([trial.seed])
    moments = Moments(torch.zeros_like(flat), torch.zeros_like(flat))
    updater = Updater.of(layout, flat, moments, [trial.optimizer], [0], [trial.steps])
    batch = training_batch([trial], [0], steps_ahead([trial]), torch.device("cpu"))
    for step in range(count):
        part = batch.part(step * trial.batch_size, (step + 1) * trial.batch_size)
        _, gradient = gradient_of(trial, layout, flat, part, execution)
        updater.step(gradient, [step])
        del gradient

def peak():  # of this process alone; getrusage begins with that of the process that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

prepare()
fields, execution = json.loads(sys.argv[1])
small = {**fields["model"], "width": 64}
execution = Execution(**execution)
steps(gcd_trial(**{**fields, "model": small, "batch_size": 8}), 2, execution)  # what torch loads
before = peak()
steps(gcd_trial(**fields), 3, execution)
print(peak() - before)
"""

FEW = {"points": 1, "examples": 8, "class_examples": 1}  # so that tests take less than steps
SIZES = {"deep": (0, 8, 256, 256), "wide": (2, 2, 512, 256)}


def trial_fields(size: str, precision: str) -> dict[str, Any]:
    return {**fields(*SIZES[size]), "precision": precision, "evaluation": FEW}


@pytest.mark.slow  # a minute and a half, all of them
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel counts it on Linux")
@pytest.mark.parametrize(
    ("size", "precision", "execution"),
    [
        ("deep", "float32", {"parts": 4}),
        ("deep", "float32", {"recompute": True}),
        ("deep", "float32", {"parts": 4, "recompute": True}),
        ("deep", "bfloat16", {}),
        ("deep", "bfloat16", {"parts": 4}),
        ("wide", "float32", {"parts": 2}),
        ("wide", "float32", {"recompute": True}),
        ("wide", "float32", {"parts": 4, "recompute": True}),
        ("wide", "bfloat16", {"parts": 2}),
    ],
)
def test_the_memory_of_an_execution_is_predicted_within_20_percent_or_30_with_layers_made_again(
    size: str, precision: str, execution: dict[str, Any]
) -> None:
    wanted = trial_fields(size, precision)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps([wanted, execution])],
        capture_output=True,
        text=True,
        check=True,
    )
    promised = training_bytes([gcd_trial(**wanted)], "cpu", Execution(**execution))
    print(size, precision, execution, f"{promised:,} promised, {int(done.stdout):,} taken")
    # a heap from which whole layers come and go has holes that no count of what is alive tells
    close = 0.3 if "recompute" in execution else 0.2
    assert promised == pytest.approx(int(done.stdout), rel=close)


def test_every_way_to_train_in_less_memory_takes_less_than_those_before_it() -> None:
    trial = gcd_trial(**fields(0, 4, 64, 256), evaluation=FEW)
    found = list(executions(256))
    assert found[:3] == [Execution(), Execution(parts=2), Execution(parts=4)]
    assert found[3] == Execution(recompute=True)
    assert found[-1] == Execution(parts=256, recompute=True)
    taken = [training_bytes([trial], "cpu", execution) for execution in found]
    for several in (taken[:3], taken[3:]):
        assert several == sorted(several, reverse=True)
    assert taken[3] < taken[0] / 1.3


def test_the_first_way_that_fits_is_taken_and_none_where_none_does() -> None:
    trial = gcd_trial(**fields(0, 2, 64, 256), evaluation=FEW)
    whole = training_bytes([trial])
    assert fitting_execution([trial], "cpu", whole) == Execution()
    assert fitting_execution([trial], "cpu", whole - 1) == Execution(parts=2)
    least = training_bytes([trial], "cpu", Execution(parts=256, recompute=True))
    assert fitting_execution([trial], "cpu", least) is not None
    assert fitting_execution([trial], "cpu", least // 2) is None


def test_a_model_without_layers_can_be_played_in_every_way() -> None:
    trial = gcd_trial(model={"kind": "recurrent", "width": 16}, precision="bfloat16")
    taken = [training_bytes([trial], "cpu", execution) for execution in executions(8)]
    assert min(taken) > 12 * trial.cost().all_params


def test_tests_of_many_examples_may_take_more_than_steps_and_count_as_well() -> None:
    few, many = (
        gcd_trial(**fields(0, 1, 64, 8), evaluation={"points": 1, "examples": examples})
        for examples in (8, 1_000)
    )
    assert training_bytes([many]) > 2 * training_bytes([few])
