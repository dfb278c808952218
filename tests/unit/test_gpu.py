"""What must hold on a CUDA device; run with `pytest -m gpu` on a machine that has one."""

import pytest
import torch

from tests.trials import gcd_trial, square_trial
from trainers.batches import TokenBatch, held_out_batch, training_batch
from trainers.data.draws import TRAIN, Draws
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.models.stack import Layout
from trainers.result import Ended, Reported

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_draws_are_the_same_bits_on_the_gpu():
    index = torch.arange(100_000)[None]
    seeds = torch.tensor([[0], [7]])
    on_cpu = Draws(seeds, index.expand(2, -1), TRAIN)
    on_gpu = Draws(seeds.cuda(), index.expand(2, -1).cuda(), TRAIN)
    assert torch.equal(on_cpu.bits(), on_gpu.bits().cpu())
    assert torch.equal(on_cpu.integers(1, 10**6), on_gpu.integers(1, 10**6).cpu())
    assert torch.equal(on_cpu.uniform(), on_gpu.uniform().cpu())


def test_examples_are_the_same_on_the_gpu():
    configs = [gcd_trial(seed=seed, data={"distinct": 50, "corrupt": 0.2}) for seed in (0, 1)]
    for make in (
        lambda device: training_batch(configs, [0, 3], 4, device),
        lambda device: held_out_batch(configs, 0, 500, device, configs[0].task),
    ):
        on_cpu, on_gpu = make(torch.device("cpu")), make(torch.device("cuda"))
        assert isinstance(on_cpu, TokenBatch)
        assert isinstance(on_gpu, TokenBatch)
        assert torch.equal(on_cpu.question, on_gpu.question.cpu())
        assert torch.equal(on_cpu.answer, on_gpu.answer.cpu())


@pytest.mark.parametrize("config", [gcd_trial(), square_trial()], ids=["gcd", "square"])
def test_a_trial_on_the_gpu_starts_from_the_same_weights_and_ends_near_the_same_loss(config):
    layout = Layout(config.parameters())
    assert torch.equal(layout.start([config.seed]), layout.start([config.seed]).cuda().cpu())
    losses = {}
    for device in ("cpu", "cuda"):
        events = list(train([Start(config)], device=device))
        assert isinstance(events[-1], Ended)
        assert events[-1].outcome.name == "finished"
        losses[device] = [e.point.values["loss"] for e in events if isinstance(e, Reported)]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-3)
