"""How steps are run on a CUDA device; run with `pytest -m gpu` on a machine that has one."""

from typing import Any

import pytest
import torch

from tests.conformance.test_models import CASES, batch_of, shapes
from tests.conformance.test_traced_steps import trial_of
from tests.trials import gcd_fields
from tests.unit.test_loop import SHAPES, History, histories, pack_of
from trainers.config import TrialConfig, trial_config
from trainers.engine.compiled import compiled_works
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.engine.step import gradient_of
from trainers.losses import counts_of
from trainers.measure import preparation_s, seconds_per_step
from trainers.models.model import Model
from trainers.models.stack import Layout

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
EAGER, GRAPHED, COMPILED = (Execution(mode) for mode in ("eager", "graphed", "compiled"))
MODES = [
    GRAPHED,
    pytest.param(
        COMPILED,
        marks=pytest.mark.skipif(not compiled_works("cuda"), reason="needs triton and gcc"),
    ),
]


def trained(configs: list[TrialConfig], execution: Execution, width: int = 8) -> dict[str, History]:
    starts = [Start(config) for config in configs]
    return histories(
        starts[:width], waiting=iter(starts[width:]), execution=execution, device="cuda"
    )


def losses(history: History) -> list[float]:
    return [float.fromhex(point["loss"]) for point in history.points.values()]


@pytest.mark.parametrize("execution", MODES, ids=str)
@pytest.mark.parametrize(
    "name", ["encoder-decoder", "decoder-only", "odd decoder-only", "mlp of 64"]
)
def test_captured_steps_give_the_curves_of_eager_ones(name: str, execution: Execution) -> None:
    configs = pack_of(SHAPES[name], 5)
    found, eager = trained(configs, execution), trained(configs, EAGER)
    on_cpu = histories([Start(config) for config in configs])
    for config in configs:
        key = config.key()
        assert list(found[key].points) == list(eager[key].points)
        assert losses(found[key]) == pytest.approx(losses(eager[key]), rel=1e-3)
        assert losses(found[key]) == pytest.approx(losses(on_cpu[key]), rel=1e-2)


@pytest.mark.parametrize("execution", [EAGER, *MODES], ids=str)
def test_bits_depend_on_the_number_of_rows_and_on_no_neighbour(execution: Execution) -> None:
    """What is promised: for the same number of rows the same bits, whoever leaves and joins."""
    configs = pack_of(SHAPES["encoder-decoder"], 8)
    first = trained(configs, execution)
    again, turned = trained(configs, execution), trained(configs[::-1], execution)
    few = trained(configs[:5], execution)  # five trials stand in eight rows
    for config in configs:
        key = config.key()
        for other in (again, turned, few):
            if key in other:
                assert other[key].points == first[key].points
                assert torch.equal(
                    other[key].saved[-1].tensors["weights"], first[key].saved[-1].tensors["weights"]
                )


@pytest.mark.parametrize("execution", MODES, ids=str)
def test_a_trial_joins_a_captured_pack_and_gives_its_own_curve(execution: Execution) -> None:
    configs = pack_of(SHAPES["decoder-only"], 8)
    joined, together = trained(configs, execution, width=2), trained(configs, execution)
    for config in configs:
        key = config.key()
        assert losses(joined[key]) == pytest.approx(losses(together[key]), rel=1e-3)


@pytest.mark.parametrize("changes", [{"parts": 2}, {"recompute": True}], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_in_parts_or_of_less_precision_are_captured_too(
    changes: dict[str, Any], precision: str
) -> None:
    configs = pack_of({**SHAPES["decoder-only"], "precision": precision}, 2)
    eager = trained(configs, Execution("eager", **changes))
    found = trained(configs, Execution("graphed", **changes))
    for config in configs:
        assert losses(found[config.key()]) == pytest.approx(losses(eager[config.key()]), rel=2e-2)


@pytest.mark.parametrize("model", CASES)
def test_the_step_of_every_model_waits_for_nothing_and_is_deterministic(model: Model) -> None:
    shape = shapes(model)[0]
    layout, config = Layout(model.parameters(shape)), trial_of(model)
    flat = layout.start([1, 2]).cuda()
    here = batch_of(model, shape, 2, 6)
    batch = type(here)(*(each.cuda() for each in vars(here).values() if each is not None))
    counts_of(batch)
    wanted = gradient_of(config, layout, flat, batch)  # tables are made
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = gradient_of(config, layout, flat, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(found[1], wanted[1])
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = gradient_of(config, layout, flat, batch)
    graph.replay()
    torch.testing.assert_close(captured[1], wanted[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["adam", "adamw", "adamw_unit_rows", "sgd"])
def test_every_optimizer_is_captured(kind: str) -> None:
    fields = [
        gcd_fields(seed=seed, optimizer={"kind": kind, "lr": 1e-2, "clip": clip})
        for seed, clip in ((0, None), (1, 0.1))
    ]
    configs = [trial_config(each) for each in fields]
    found, eager = trained(configs, GRAPHED), trained(configs, EAGER)
    for config in configs:
        assert losses(found[config.key()]) == pytest.approx(losses(eager[config.key()]), rel=1e-3)


def test_a_captured_step_of_a_small_model_beats_an_eager_one() -> None:
    configs = [trial_config(gcd_fields(seed=0))]
    took = {
        execution: seconds_per_step(configs, device="cuda", execution=execution)
        for execution in (EAGER, GRAPHED)
    }
    assert took[GRAPHED] < took[EAGER] / 2
    assert preparation_s(configs, device="cuda", execution=GRAPHED) > 0


def test_a_capture_leaves_the_weights_where_they_were() -> None:
    configs = pack_of(SHAPES["mlp of 64"], 2)
    device = torch.device("cuda")
    found = [Pack.of([Start(each) for each in configs], device, one) for one in (EAGER, GRAPHED)]
    batch = batch_of(configs[0].model, configs[0].shape(), 2, configs[0].batch_size)
    batch = type(batch)(*(each.cuda() for each in vars(batch).values()))
    for each in found:
        each.step(batch)
    torch.testing.assert_close(found[0].flat, found[1].flat, rtol=1e-6, atol=1e-7)
    assert found[0].done == found[1].done == [1, 1]
