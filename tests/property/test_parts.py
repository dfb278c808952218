"""A batch in parts, and layers made again, give the loss and the gradient of the whole batch."""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.test_combinations import ROWS, Row, pack_of
from tests.trials import gcd_trial
from trainers.batches import TokenBatch, training_batch
from trainers.config import TrialConfig, trial_config
from trainers.data.encoding import PAD
from trainers.engine.execution import Execution
from trainers.engine.parts import parts_of
from trainers.engine.step import gradient_of
from trainers.models.stack import Layout

CPU = torch.device("cpu")
CLOSE = 2e-5  # of the norm of a gradient; one number in a million is rounded in float32


def configs_of(row: Row) -> list[TrialConfig]:
    return pack_of(trial_config({**row.fields, "batch_size": 7}))


SMALL = [
    row
    for row in ROWS
    if (config := trial_config(row.fields)).cost().all_params < 100_000
    and config.shape().numbers < 80
    and config.precision == "float32"
]


def test_the_parts_of_a_batch_are_all_of_it_in_order_and_none_is_empty() -> None:
    batch = training_batch([gcd_trial(batch_size=7)], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    for parts in (1, 2, 3, 7, 12):
        found = list(parts_of(batch, parts))
        assert len(found) == min(parts, 7)
        sizes = [part.answer.shape[1] for part in found if isinstance(part, TokenBatch)]
        assert max(sizes) - min(sizes) <= 1
        assert sizes[0] == max(sizes)
        joined = torch.cat([part.answer for part in found if isinstance(part, TokenBatch)], dim=1)
        assert torch.equal(joined, batch.answer)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=st.sampled_from(SMALL), parts=st.integers(1, 9), recompute=st.booleans())
def test_parts_and_layers_made_again_change_nothing_but_the_rounding(
    row: Row, parts: int, recompute: bool
) -> None:
    configs = configs_of(row)
    layout = Layout(configs[0].parameters())
    flat = layout.start([config.seed for config in configs])
    batch = training_batch(configs, [5, 6, 7], 1, CPU)
    loss, gradient = gradient_of(configs[0], layout, flat, batch)
    execution = Execution(parts=parts, recompute=recompute)
    again, again_gradient = gradient_of(configs[0], layout, flat, batch, execution)
    if parts == 1:  # what is made again has the same bits
        assert torch.equal(again, loss)
        assert torch.equal(again_gradient, gradient)
    torch.testing.assert_close(again, loss, rtol=CLOSE, atol=1e-7)
    apart = (again_gradient - gradient).norm(dim=1)
    assert bool((apart <= CLOSE * gradient.norm(dim=1) + 1e-7).all())


def test_answers_of_other_lengths_count_by_their_tokens() -> None:
    """The mean of the parts' own losses would be another number: they have not as many tokens."""
    trial = gcd_trial(batch_size=256)
    layout = Layout(trial.parameters())
    flat = layout.start([1])
    batch = training_batch([trial], [0], 1, CPU)
    assert isinstance(batch, TokenBatch)
    order = (batch.answer != PAD).sum(dim=-1)[0].argsort()  # short answers in the first part
    batch = TokenBatch(batch.question[:, order], batch.answer[:, order])
    whole, _ = gradient_of(trial, layout, flat, batch)
    parted, _ = gradient_of(trial, layout, flat, batch, Execution(parts=4))
    torch.testing.assert_close(parted, whole, rtol=1e-6, atol=0)
    own = [gradient_of(trial, layout, flat, part)[0] for part in parts_of(batch, 4)]
    assert float((torch.stack(own).mean(dim=0) - whole).abs()) > 1e-3
