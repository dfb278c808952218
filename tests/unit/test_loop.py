import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from tests.trials import gcd_fields, gcd_trial, square_trial
from trainers import loop
from trainers.config import TrialConfig, trial_config
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Ended, Event, Outcome, Point, Reported, Saved

TRANSFORMER = {"kind": "transformer", "width": 16, "heads": 2}


def odd(**model: Any) -> dict[str, Any]:
    """Sizes that no vector register divides."""
    return gcd_fields(
        encoding={"kind": "digits", "base": 33},
        model={"kind": "transformer", "width": 10, "heads": 5, "feedforward": 3, **model},
        batch_size=7,
    )


def square(width: int, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"kind": "square"},
        "model": {"kind": "mlp", "width": width, **changes},
        "batch_size": 7,
        "budget": {"steps": 12},
        "evaluation": {"points": 3, "examples": 41},
    }


SHAPES: dict[str, dict[str, Any]] = {
    "encoder-decoder": gcd_fields(),
    "decoder-only": gcd_fields(
        model={
            **TRANSFORMER,
            "encoder_layers": 0,
            "decoder_layers": 2,
            "position": {"kind": "rope"},
        }
    ),
    "odd encoder-decoder": odd(position={"kind": "rope"}),
    "odd decoder-only": odd(encoder_layers=0, position={"kind": "none"}, activation="relu"),
    "mlp of 3": square(3),
    "mlp of 5, tanh": square(5, layers=2, activation="tanh"),
    "mlp of 64": square(64),
    "mlp of 1": square(1, activation="gelu"),
}


def pack_of(fields: dict[str, Any], size: int) -> list[TrialConfig]:
    """Trials that share a shape and differ in all that may differ."""
    regimes: list[dict[str, Any]] = [
        {},
        {"distinct": 30},
        {"corrupt": 0.3},
        {"hot": {"size": 9, "share": 0.5}},
    ]
    steps = [6, 10, 8, 6, 5, 3, 6, 12]
    return [
        trial_config(
            {
                **fields,
                "seed": 100 + number,
                "data": regimes[number % 4],
                "optimizer": {
                    "kind": "adamw",
                    "lr": 1e-3 * (1 + number),
                    "warmup_steps": number,
                    "clip": 1.0 + number,
                    "schedule": "cosine" if number % 2 else "constant",
                },
                "budget": {"steps": steps[number]},
            }
        )
        for number in range(size)
    ]


class History:
    """What a trial reported, its last state and its outcome, in a form that compares by bits."""

    def __init__(self) -> None:
        self.points: dict[int, dict[str, str]] = {}
        self.saved: list[Saved] = []
        self.outcome: Outcome | None = None

    def add(self, event: Event) -> None:
        if isinstance(event, Reported):
            assert event.point.step not in self.points
            self.points[event.point.step] = bits(event.point)
        elif isinstance(event, Saved):
            self.saved.append(event)
        else:
            assert self.outcome is None
            self.outcome = event.outcome


def bits(point: Point) -> dict[str, str]:
    return {name: float(value).hex() for name, value in point.values.items()}


def histories(
    starts: Sequence[Start], into: dict[str, History] | None = None, **options: Any
) -> dict[str, History]:
    found = {} if into is None else into
    for event in train(starts, **options):
        found.setdefault(event.key, History()).add(event)
    return found


def run(configs: Sequence[TrialConfig], **options: Any) -> dict[str, History]:
    return histories([Start(config) for config in configs], **options)


def assert_equal_to_the_bit(one: History, other: History) -> None:
    assert one.points == other.points
    assert one.outcome == other.outcome
    first, second = one.saved[-1], other.saved[-1]
    assert first.step == second.step
    for name in ("weights", "first", "second"):
        assert torch.equal(first.tensors[name], second.tensors[name]), name
    assert first.numbers == second.numbers


def after(reports: int) -> Callable[[], bool]:
    """Asks to stop at the given report of the pack."""
    left = iter([False] * (reports - 1))
    return lambda: next(left, True)


@pytest.mark.parametrize("name", SHAPES)
def test_a_trial_gives_the_same_bits_alone_in_any_pack_and_after_others_have_left(
    name: str,
) -> None:
    configs = pack_of(SHAPES[name], 8)
    alone = {config.key(): run([config])[config.key()] for config in configs}
    packs = [configs, configs[:4], configs[:3:-1], [configs[1], configs[7], configs[0]]]
    for pack in packs:
        together = run(pack)
        for config in pack:
            assert_equal_to_the_bit(together[config.key()], alone[config.key()])
    assert len({history.saved[-1].tensors["weights"][0].item() for history in alone.values()}) == 8


@pytest.mark.parametrize("name", ["encoder-decoder", "odd decoder-only", "mlp of 3"])
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_trial_stopped_and_resumed_in_other_packs_gives_the_same_bits(
    name: str, stop: int
) -> None:
    configs = pack_of(SHAPES[name], 6)
    whole = run(configs)
    found = run(configs, should_stop=after(stop))
    open_trials = [config for config in configs if found[config.key()].outcome is None]
    assert open_trials
    states = {config.key(): found[config.key()].saved[-1] for config in open_trials}
    for pack in (open_trials[::2], open_trials[1::2]):
        if pack:
            starts = [Start(config, states[config.key()]) for config in pack]
            histories(starts, into=found)
    for config in configs:
        assert_equal_to_the_bit(found[config.key()], whole[config.key()])


def test_a_resumed_trial_and_a_fresh_one_share_a_pack() -> None:
    old, new = pack_of(SHAPES["encoder-decoder"], 2)
    found = run([old], should_stop=after(1))
    histories([Start(new), Start(old, found[old.key()].saved[-1])], into=found)
    for config in (old, new):
        assert_equal_to_the_bit(found[config.key()], run([config])[config.key()])


def test_saving_often_changes_nothing() -> None:
    configs = pack_of(SHAPES["odd encoder-decoder"], 3)
    often, seldom = run(configs, save_every_s=0.0), run(configs)
    for config in configs:
        key = config.key()
        assert_equal_to_the_bit(often[key], seldom[key])
        assert len(often[key].saved) > len(seldom[key].saved)


@pytest.mark.parametrize("fields", [SHAPES["mlp of 3"], SHAPES["encoder-decoder"]])
@pytest.mark.parametrize(("steps", "points"), [(1, 1), (7, 7), (10, 3), (11, 4), (600, 5)])
def test_reports_fall_on_the_report_steps(fields: dict[str, Any], steps: int, points: int) -> None:
    if steps == 600 and fields["task"]["kind"] == "gcd":
        steps = 60
    config = trial_config(
        {**fields, "budget": {"steps": steps}, "evaluation": {"points": points, "examples": 10}}
    )
    found = run([config])[config.key()]
    assert tuple(found.points) == config.report_steps
    assert len(config.report_steps) == points
    assert config.report_steps[-1] == steps
    gaps = [b - a for a, b in zip((0, *config.report_steps), config.report_steps, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_every_metric_that_is_announced_is_reported_and_no_other() -> None:
    for config in (gcd_trial(), square_trial()):
        found = run([config])[config.key()]
        assert found.outcome is not None
        names = {name for point in found.points.values() for name in point}
        assert names | set(found.outcome.metrics) == config.metrics()


def test_a_budget_in_examples_is_rounded_up_to_whole_steps() -> None:
    config = gcd_trial(budget={"examples": 81}, batch_size=8)
    assert (config.steps, config.examples) == (11, 88)
    assert max(run([config])[config.key()].points) == 11


def test_the_last_point_is_measured_on_its_own_number_of_examples() -> None:
    evaluation = {"points": 3, "examples": 7, "class_examples": 2}
    short = square_trial(evaluation={**evaluation})
    long = square_trial(evaluation={**evaluation, "last_examples": 400})
    first, last = run([short])[short.key()], run([long])[long.key()]
    steps = short.report_steps
    assert [first.points[step] for step in steps[:2]] == [last.points[step] for step in steps[:2]]
    assert first.points[steps[2]]["loss"] == last.points[steps[2]]["loss"]
    assert first.points[steps[2]]["test_loss"] != last.points[steps[2]]["test_loss"]


@pytest.mark.parametrize("name", ["encoder-decoder", "mlp of 3"])
def test_a_diverged_trial_is_an_outcome_and_disturbs_no_neighbour(name: str) -> None:
    fields = SHAPES[name]
    calm = pack_of(fields, 4)
    wild = trial_config(
        {**fields, "seed": 5, "optimizer": {"kind": "adamw", "lr": 1e3, "weight_decay": 1e3}}
    )
    quiet = run(calm)
    found = run([*calm[:2], wild, *calm[2:]])
    for config in calm:
        assert_equal_to_the_bit(found[config.key()], quiet[config.key()])
    outcome = found[wild.key()].outcome
    assert outcome is not None
    assert outcome.name == "diverged"
    assert "not finite" in outcome.reason
    assert outcome.step == max(found[wild.key()].points)
    assert found[wild.key()].saved == []
    assert "\n" not in outcome.reason
    last = found[wild.key()].points[outcome.step]
    assert not math.isfinite(float.fromhex(last["loss"])) or not math.isfinite(
        float.fromhex(last["test_loss"])
    )


def test_asked_to_stop_every_trial_is_saved_with_its_full_state() -> None:
    configs = pack_of(SHAPES["encoder-decoder"], 4)
    events = list(train([Start(config) for config in configs], should_stop=lambda: True))
    saved = [event for event in events if isinstance(event, Saved)]
    assert [event.key for event in saved] == [config.key() for config in configs]
    assert not [event for event in events if isinstance(event, Ended)]
    assert isinstance(events[0], Reported)
    for event in saved:
        assert set(event.tensors) == {"weights", "first", "second"}
        assert all(bool(tensor.isfinite().all()) for tensor in event.tensors.values())


def test_a_saved_state_does_not_change_while_training_goes_on() -> None:
    config = pack_of(SHAPES["mlp of 3"], 1)[0]
    states = [
        (event, {name: part.clone() for name, part in event.tensors.items()})
        for event in train([Start(config)], save_every_s=0.0)
        if isinstance(event, Saved)
    ]
    assert len(states) >= 3
    for event, copy in states:
        for name, part in event.tensors.items():
            assert torch.equal(part, copy[name])


def test_a_trial_saved_at_its_end_still_gets_its_outcome() -> None:
    """Killed between the last checkpoint and the outcome."""
    config = gcd_trial()
    whole = run([config])[config.key()]
    events = list(train([Start(config, whole.saved[-1])]))
    assert [type(event) for event in events] == [Ended]
    assert isinstance(events[0], Ended)
    assert events[0].outcome == whole.outcome


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 9},
        {"model": {**TRANSFORMER, "width": 32}},
        {"model": {**TRANSFORMER, "heads": 4}},
        {"encoding": {"kind": "digits", "base": 11}},
        {"task": {"kind": "gcd", "largest": 998, "top_class": 5}},
        {"optimizer": {"kind": "adamw"}},
        {"evaluation": {"points": 4, "examples": 40, "class_examples": 4}},
        {"data": {"prime": {"count": 3, "share": 0.1, "task": {"largest": 5}}}},
    ],
    ids=str,
)
def test_trials_of_unequal_shape_are_refused(changes: dict[str, Any]) -> None:
    starts = [Start(gcd_trial()), Start(gcd_trial(**changes))]
    with pytest.raises(ValueError, match="equal shape"):
        next(train(starts))


def test_an_empty_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="equal shape"):
        next(train([]))


def test_the_state_of_another_trial_is_refused() -> None:
    config, other = gcd_trial(), gcd_trial(seed=1)
    state = run([other])[other.key()].saved[-1]
    with pytest.raises(ValueError, match=config.key()):
        next(train([Start(config, state)]))


def test_training_learns() -> None:
    """The loss of y = x^2 falls tenfold; y has variance 64/45 on [-2, 2]."""
    config = square_trial(model={"kind": "mlp", "width": 16}, batch_size=64, budget={"steps": 500})
    found = run([config])[config.key()]
    assert float.fromhex(found.points[500]["test_loss"]) < 64 / 45 / 10


def test_a_trial_that_learns_nothing_of_gcd_has_no_class_learned() -> None:
    config = gcd_trial(optimizer={"kind": "adam", "lr": 1e-12}, budget={"steps": 3})
    outcome = run([config])[config.key()].outcome
    assert outcome is not None
    assert outcome.metrics["classes_learned"] == 0
    assert outcome.details["learned"] == []


def test_a_trial_gives_the_same_bits_however_many_steps_its_examples_are_made_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = square_trial(batch_size=8_192, budget={"steps": 10})  # 4 steps at once, 4, then 2
    ahead = histories([Start(trial)])[trial.key()]
    assert ahead.outcome is not None
    assert ahead.outcome.name == "finished"
    monkeypatch.setattr(loop, "_AHEAD_EXAMPLES", 1)
    assert histories([Start(trial)])[trial.key()].points == ahead.points


def test_a_trial_whose_neighbour_leaves_sees_the_examples_that_it_sees_alone() -> None:
    short = square_trial(batch_size=8_192, budget={"steps": 2}, evaluation={"points": 1})
    long = square_trial(batch_size=8_192, budget={"steps": 10}, evaluation={"points": 1})
    together = histories([Start(short), Start(long)])[long.key()]
    assert together.points == histories([Start(long)])[long.key()].points


def test_the_mean_loss_of_a_report_is_that_of_its_steps() -> None:
    every = gcd_trial(evaluation={"points": 12, "examples": 10, "class_examples": 4})
    few = gcd_trial(evaluation={"points": 3, "examples": 10, "class_examples": 4})
    single = [float.fromhex(point["loss"]) for point in run([every])[every.key()].points.values()]
    means = [float.fromhex(point["loss"]) for point in run([few])[few.key()].points.values()]
    assert means == pytest.approx([sum(single[i : i + 4]) / 4 for i in (0, 4, 8)], rel=1e-12)
