from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from tests.trials import gcd_trial, square_trial
from trainers.config import TrialConfig
from trainers.engine import gradients
from trainers.engine.pack import Pack, Start
from trainers.engine.traced import LossAndGradient, Traced, traced
from trainers.loop import make_examples, train
from trainers.result import Saved

LONG = {"task": {"kind": "gcd", "largest": 10**6}, "encoding": {"kind": "digits", "base": 2}}
FLAT, SHOWN = torch.tensor([[0.5, 2.0]]), torch.tensor([[[1.0, 2.0], [3.0, -4.0]]])

Wanted = Callable[[Tensor, Tensor], Tensor]


def of(wanted: Wanted) -> Callable[..., LossAndGradient]:
    """A step whose gradient is this."""
    return lambda flat, shown: (flat[:, 0], wanted(flat, shown))


def test_what_is_fixed_is_done_once_and_all_else_at_each_call():
    def wanted(flat: Tensor, shown: Tensor) -> Tensor:
        return flat * torch.arange(2) + shown.sum(dim=1)

    found = traced(of(wanted), FLAT, [SHOWN])
    assert found is not None
    flat = FLAT.clone()
    views = found.views(flat)
    for shown in (SHOWN, 2 * SHOWN):
        flat += 1
        assert torch.equal(found(views, [shown])[1], wanted(flat, shown))


def test_what_a_step_changes_in_place_begins_anew_at_each_call():
    def wanted(flat: Tensor, shown: Tensor) -> Tensor:
        return flat + torch.zeros(1, 2).add_(shown[:, 0]).mul_(flat)

    found = traced(of(wanted), FLAT, [SHOWN])
    assert found is not None
    views = found.views(FLAT)
    for shown in (SHOWN, SHOWN.flip(1), SHOWN):
        assert torch.equal(found(views, [shown])[1], wanted(FLAT, shown))


def test_numbers_that_are_none_are_bits_like_any_other():
    found = traced(of(lambda flat, shown: flat * shown[:, 0] / 0), 0 * FLAT, [SHOWN])
    assert found is not None
    assert bool(found(found.views(0 * FLAT), [SHOWN])[1].isnan().all())


LOOKS: dict[str, Wanted] = {
    "a branch": lambda flat, shown: flat if shown[0, 0, 0] > 1 else -flat,
    "an int": lambda flat, shown: flat * int(shown[0, 0, 0]),
    "an item": lambda flat, shown: flat * shown[0, 0, 0].item(),
    "a list": lambda flat, shown: flat * shown.tolist()[0][0][0],
    "numpy": lambda flat, shown: flat * float(shown.numpy()[0, 0, 0]),
    "what is true": lambda flat, shown: flat * shown[shown > 0].sum(),
    "where it is not zero": lambda flat, shown: flat * len(shown.nonzero()),
    "chance": lambda flat, shown: flat * torch.rand(1),
    "changed weights": lambda flat, shown: flat.mul_(2) + 0,
}


@pytest.mark.parametrize("wanted", LOOKS.values(), ids=LOOKS)
def test_a_step_that_other_numbers_would_change_is_not_traced(wanted: Wanted):
    assert traced(of(wanted), FLAT.clone(), [SHOWN]) is None


def test_a_step_that_counts_its_calls_is_not_traced():
    calls: list[int] = []

    def wanted(flat: Tensor, _: Tensor) -> Tensor:
        calls.append(1)
        return flat * len(calls)

    assert traced(of(wanted), FLAT, [SHOWN]) is None


@pytest.fixture
def _none_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has taken no step yet."""
    monkeypatch.setattr(gradients, "_taken", type(gradients._taken)())
    monkeypatch.setattr(gradients, "_traced", type(gradients._traced)())


def trials(number: int, **changes: object) -> list[TrialConfig]:
    return [gcd_trial(**{**LONG, **changes}, seed=seed) for seed in range(number)]


@pytest.mark.usefixtures("_none_traced")
def test_a_pack_of_unlike_lengths_has_the_same_bits_traced_and_not():
    configs = trials(5, budget={"steps": 100})
    flats: list[Tensor] = []
    for at_once in (False, True):
        pack = Pack.of([Start(config) for config in configs], torch.device("cpu"))
        if at_once:
            pack.trace_at_once()
        for _ in range(20):
            if pack.ahead is None or pack.ahead.is_used_up:
                make_examples(pack)
            pack.advance()
        pack.settle([1, 2])
        for _ in range(5):
            pack.advance()
        flats.append(pack.flat)
        assert bool(gradients._traced) == at_once
    assert torch.equal(*flats)
    assert all(gradients._traced.values())


@pytest.mark.usefixtures("_none_traced")
def test_training_traces_what_it_does_often_and_changes_no_bit():
    configs = [square_trial(budget={"steps": 150}, seed=seed) for seed in range(2)]
    plain = Pack.of([Start(config) for config in configs], torch.device("cpu"))
    plain.gradients.patience = 10**9
    for _ in range(150):
        if plain.ahead is None or plain.ahead.is_used_up:
            make_examples(plain)
        plain.advance()
    assert not gradients._traced
    gradients._taken.clear()
    events = train([Start(config) for config in configs])
    weights = [event.tensors["weights"] for event in events if isinstance(event, Saved)]
    assert any(gradients._traced.values())
    assert torch.equal(torch.stack(weights), plain.flat)


@pytest.mark.usefixtures("_none_traced")
def test_a_process_keeps_so_many_traced_steps_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gradients, "_MOST", 2)
    for size in (4, 5, 6, 5):
        config = gcd_trial(batch_size=size)
        pack = Pack.of([Start(config)], torch.device("cpu"))
        pack.trace_at_once()
        make_examples(pack)
        pack.advance()
    kept = [key[2][1] for key in gradients._traced]
    assert kept == [6, 5]


@pytest.mark.usefixtures("_none_traced")
def test_a_place_beyond_the_table_of_a_traced_step_is_found_by_the_step(
    monkeypatch: pytest.MonkeyPatch,
):
    """Rotary places of the last tokens of a line are looked up in a table that a longer line outgrows."""

    def outgrown(*_: Tensor) -> LossAndGradient:
        return F.embedding(torch.tensor([9]), torch.zeros(4, 2)), FLAT

    monkeypatch.setattr(gradients, "traced", lambda *_: Traced(lambda flat: (flat,), outgrown))
    flats: list[Tensor] = []
    for at_once in (False, True):
        pack = Pack.of([Start(square_trial())], torch.device("cpu"))
        if at_once:
            pack.trace_at_once()
        make_examples(pack)
        pack.advance()
        flats.append(pack.flat)
        assert bool(gradients._traced) == at_once
    assert torch.equal(*flats)
