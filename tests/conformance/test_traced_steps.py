"""What every model's step promises, so that it can be traced, compiled, and captured on a GPU."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conformance.test_models import CASES, batch_of, shapes
from tests.trials import gcd_trial, square_trial
from trainers.batches import Batch, TokenBatch
from trainers.config import TrialConfig
from trainers.data.encoding import PAD
from trainers.engine.ahead import batch_of as of_tensors
from trainers.engine.ahead import tensors_of
from trainers.engine.compiled import compiled, trace
from trainers.engine.execution import Execution
from trainers.engine.step import gradient_of, stack_gradient
from trainers.engine.traced import LossAndGradient, traced
from trainers.models.model import Model, TokenModel
from trainers.models.stack import Layout


def trial_of(model: Model, **changes: Any) -> TrialConfig:
    """A trial with this model; how its task is written does not matter to a step."""
    trial = gcd_trial() if isinstance(model, TokenModel) else square_trial()
    return trial.model_copy(update={"model": model, **changes})


def another(batch: Batch) -> Batch:
    """A batch of the same shape with other numbers, and much padding."""
    turned = type(batch)(*(each.flip(1).contiguous() for each in tensors_of(batch)))
    if isinstance(turned, TokenBatch):
        turned.question[..., -4:] = PAD
    return turned


EXECUTIONS = [Execution(), Execution(parts=2), Execution(recompute=True)]
FEW = {3, 6, 8, 10, 13, 15, 17}  # transformers with every kind of position and side
FIRST = [
    case
    if case.values[0].kind != "transformer" or number in FEW
    else pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
    for number, case in enumerate(CASES)
    if case.values[0].kind != "recurrent" or case.values[0].layers == 1
]


@pytest.mark.parametrize("model", FIRST)
def test_a_step_is_one_list_of_operations_that_no_number_of_a_batch_decides(model: Model) -> None:
    shape = shapes(model)[0]
    layout, config = Layout(model.parameters(shape)), trial_of(model)
    flat, batch = layout.start([1, 2, 3]), batch_of(model, shape, 3, 6)
    traced = trace(config, layout, flat, batch, Execution())
    for shown in (batch, another(batch)):
        loss, gradient = traced(flat, *tensors_of(shown))
        wanted, slope = gradient_of(config, layout, flat, shown)
        torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient, slope, rtol=1e-4, atol=1e-6)
    # a number of the host would have to be copied to a GPU, which a captured step cannot do
    assert not [node for node in traced.graph.nodes if "lift_fresh" in str(node.target)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("execution", EXECUTIONS, ids=str)
@pytest.mark.parametrize("model", [CASES[3], CASES[27]])
def test_a_step_in_parts_or_with_less_memory_or_precision_is_such_a_list_too(
    model: Model, execution: Execution, precision: str
) -> None:
    shape = shapes(model)[0]
    layout, config = Layout(model.parameters(shape)), trial_of(model, precision=precision)
    flat, batch = layout.start([1, 2]), batch_of(model, shape, 2, 6)
    traced = trace(config, layout, flat, batch, execution)
    shown = another(batch)
    loss, gradient = traced(flat, *tensors_of(shown))
    wanted, slope = gradient_of(config, layout, flat, shown, execution)
    coarse = 1e-2 if precision == "bfloat16" else 1e-5
    torch.testing.assert_close(loss, wanted, rtol=coarse, atol=coarse)
    torch.testing.assert_close(gradient, slope, rtol=10 * coarse, atol=coarse)


@pytest.mark.parametrize("model", FIRST)
def test_traced_kernels_have_the_bits_of_the_step_whatever_the_batch(model: Model) -> None:
    shape = shapes(model)[0]
    layout, config = Layout(model.parameters(shape)), trial_of(model)
    for rows in (1, 3):
        flat, batch = layout.start([1, 2, 3][:rows]), batch_of(model, shape, rows, 6)

        def step(flat: Tensor, *examples: Tensor, like: Batch = batch) -> LossAndGradient:
            return stack_gradient(config, layout, flat, of_tensors(examples, like), Execution())

        found = traced(step, flat, tensors_of(batch))
        if model.kind == "recurrent":  # how far it reads depends on the padding of a batch
            assert found is None
            continue
        assert found is not None
        views = found.views(flat)
        for shown in (batch, another(batch)):
            flat.mul_(1.01)  # as an update does, in place
            for mine, wanted in zip(
                found(views, tensors_of(shown)), step(flat, *tensors_of(shown)), strict=True
            ):
                assert torch.equal(mine, wanted)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("model", CASES)
def test_a_compiled_step_is_the_eager_one_and_no_trial_sees_another(model: Model) -> None:
    """About half an hour in all where nothing is cached: 15 to 60 s a model."""
    shape = shapes(model)[0]
    layout, config = Layout(model.parameters(shape)), trial_of(model)
    flat, batch = layout.start([1, 2]), batch_of(model, shape, 2, 6)
    program = compiled(config, layout, flat, batch, Execution("compiled"))
    loss, gradient = program(flat, another(batch))
    wanted, slope = gradient_of(config, layout, flat, another(batch))
    torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, slope, rtol=1e-3, atol=1e-5)
    broken = flat.clone()
    broken[1] = torch.nan
    beside, slopes = program(broken, another(batch))
    assert torch.equal(beside[0], loss[0])
    assert torch.equal(slopes[0], gradient[0])
