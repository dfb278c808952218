"""Steps that several processes share are those of one, and a rank that dies is no mistake of a trial."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.integration import sweeping
from tests.trials import gcd_trial, square_trial
from trainers.batches import TokenBatch, training_batch
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.engine.ranks import meet, part_company
from trainers.engine.step import gradient_of
from trainers.loop import train
from trainers.models.stack import Layout
from trainers.result import Ended, Reported, Saved

pytestmark = pytest.mark.xdist_group("ranks")  # they share three processes

CPU = torch.device("cpu")

FOLLOWER = """
import sys
from pathlib import Path
from trainers.machine import prepare
from trainers.engine.ranks import follow, meet
prepare()
meet(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), "cpu")
follow("cpu")
"""


@contextmanager
def others(folder: Path, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """This process leads so many ranks; the others are processes of their own, on loopback."""
    folder.mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, folder, str(number), str(count)],
            env=sweeping.environment(),
        )
        for number in range(1, count)
    ]
    try:
        meet(folder, 0, count, "cpu")
        yield started
    finally:
        for each in started:
            each.kill()
            each.wait()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three ranks, which part again in the end."""
    with others(tmp_path_factory.mktemp("ranks") / "three", 3) as started:
        yield
        part_company()
        assert [each.wait(30) for each in started] == [0, 0]


CONFIGS: dict[str, list[TrialConfig]] = {
    "tokens": [gcd_trial(batch_size=8, seed=seed) for seed in range(3)],
    "fewer examples than ranks": [gcd_trial(batch_size=2)],
    "numbers": [square_trial(batch_size=7, seed=seed) for seed in range(2)],
    "a second loss": [gcd_trial(batch_size=10, auxiliary={"weight": 3.0})],
    "a recurrent network": [gcd_trial(model={"kind": "recurrent", "width": 9}, batch_size=11)],
}
WAYS = [Execution(ranks=3), Execution(parts=2, ranks=3), Execution(recompute=True, ranks=3)]
CLOSE = 1e-5  # of the norm of a gradient


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("execution", WAYS, ids=lambda one: f"{one.words}, {one.recompute}")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_of_several_ranks_is_that_of_one(name: str, execution: Execution) -> None:
    configs = CONFIGS[name]
    layout = Layout(configs[0].parameters())
    flat = layout.start([config.seed for config in configs])
    batch = training_batch(configs, [0] * len(configs), 1, CPU)
    loss, gradient = gradient_of(configs[0], layout, flat, batch)
    shared, shared_gradient = gradient_of(configs[0], layout, flat, batch, execution)
    torch.testing.assert_close(shared, loss, rtol=1e-6, atol=0)
    apart = (shared_gradient - gradient).norm(dim=1) / gradient.norm(dim=1)
    assert float(apart.max()) < CLOSE


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_trials_on_several_ranks_end_as_those_on_one(precision: str) -> None:
    """A pack whose trials end one after the other; alone each is the same to a few roundings."""
    configs = [
        gcd_trial(batch_size=20, seed=seed, budget={"steps": 20 + 10 * seed}, precision=precision)
        for seed in range(2)
    ]
    starts = [Start(config) for config in configs]
    alone, shared = (
        list(train(starts, execution=execution)) for execution in (Execution(), Execution(ranks=3))
    )
    close = 1e-3 if precision == "float32" else 1e-2  # Adam makes much of a rounding near zero
    for mine, other in zip(alone, shared, strict=True):
        assert (type(mine), mine.key) == (type(other), other.key)
        if isinstance(mine, Reported) and isinstance(other, Reported):
            assert other.point.values["loss"] == pytest.approx(mine.point.values["loss"], rel=close)
        if isinstance(mine, Saved) and isinstance(other, Saved):
            apart = (mine.tensors["weights"] - other.tensors["weights"]).norm()
            assert float(apart / mine.tensors["weights"].norm()) < close
        if isinstance(mine, Ended) and isinstance(other, Ended):
            assert other.outcome.name == mine.outcome.name == "finished"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(("example", "problem"), [(0, "index"), (8, "another rank failed")])
def test_a_step_that_fails_on_one_rank_fails_and_the_next_one_does_not(
    example: int, problem: str
) -> None:
    config = gcd_trial(batch_size=9)
    layout = Layout(config.parameters())
    flat = layout.start([0])
    batch = training_batch([config], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    broken = TokenBatch(batch.question.clone(), batch.answer)
    broken.question[:, example] = 10**6  # no token has this number
    with pytest.raises(Exception, match=problem):
        gradient_of(config, layout, flat, broken, Execution(ranks=3))
    loss, _ = gradient_of(config, layout, flat, batch)
    shared, _ = gradient_of(config, layout, flat, batch, Execution(ranks=3))
    torch.testing.assert_close(shared, loss)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("execution", [Execution(ranks=2), Execution("compiled", ranks=3)])
def test_other_ranks_than_there_are_are_refused(execution: Execution) -> None:
    config = gcd_trial()
    layout = Layout(config.parameters())
    batch = training_batch([config], [0], 1, CPU)
    with pytest.raises(RuntimeError, match="expected eager steps on 3 ranks, got them"):
        gradient_of(config, layout, layout.start([0]), batch, execution)


def test_a_rank_that_is_killed_is_missed_at_once_and_is_no_mistake_of_the_trial(
    tmp_path: Path,
) -> None:
    """In a process of its own, since its ranks cannot part as friends."""
    script = KILLED.format(test=__name__, folder=tmp_path / "two")
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert "lost after" in ran.stdout, ran.stdout + ran.stderr
    assert float(ran.stdout.split()[-2]) < 10


KILLED = """
import time
from pathlib import Path
from {test} import *
from trainers.engine.ranks import RankLost
with others(Path("{folder}"), 2) as started:
    tests = {{"points": 10_000, "examples": 8}}
    config = gcd_trial(batch_size=8, budget={{"steps": 100_000}}, evaluation=tests)
    try:
        for event in train([Start(config)], execution=Execution(ranks=2)):
            started[0].kill()
            killed = time.monotonic()
    except Exception as error:
        print("taken for a mistake", error)
    except RankLost:
        print("lost after", time.monotonic() - killed, "s")
"""
