"""However its steps are run, a trial gives the same curve, and no neighbour changes a bit of it."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trials import gcd_fields, square_fields
from tests.unit.test_loop import SHAPES, History, after, assert_equal_to_the_bit, histories, pack_of
from trainers.config import TrialConfig, trial_config
from trainers.engine import compiled, pack
from trainers.engine.compiled import compiled_works
from trainers.engine.execution import Execution
from trainers.engine.pack import Pack, Start
from trainers.engine.rungs import pays, rung
from trainers.loop import make_examples, train
from trainers.measure import preparation_s, seconds_per_step
from trainers.result import Ended
from trainers.schema import InputError

CPU = torch.device("cpu")
WHOLE, COMPILED = Execution("graphed"), Execution("compiled")
needs_compiler = pytest.mark.skipif(
    not compiled_works(), reason="needs a C++ compiler: apt-get install g++ python3-dev"
)


def starts(configs: list[TrialConfig]) -> list[Start]:
    return [Start(config) for config in configs]


def alone(configs: list[TrialConfig], execution: Execution) -> dict[str, History]:
    found: dict[str, History] = {}
    for config in configs:
        histories([Start(config)], found, execution=execution)
    return found


def losses(history: History) -> list[float]:
    return [float.fromhex(point["loss"]) for point in history.points.values()]


@pytest.mark.parametrize("name", ["encoder-decoder", "odd decoder-only", "mlp of 5, tanh"])
def test_whole_steps_give_the_curves_of_eager_ones_but_for_rounding(name: str) -> None:
    configs = pack_of(SHAPES[name], 5)
    whole = histories(starts(configs), execution=WHOLE)
    eager = histories(starts(configs))
    for config in configs:
        key = config.key()
        assert list(whole[key].points) == list(eager[key].points)
        assert losses(whole[key]) == pytest.approx(losses(eager[key]), rel=1e-3)


@pytest.mark.parametrize("name", ["decoder-only", "odd encoder-decoder", "mlp of 3"])
def test_a_trial_of_whole_steps_gives_the_same_bits_alone_and_in_any_pack(name: str) -> None:
    configs = pack_of(SHAPES[name], 7)
    single = alone(configs, WHOLE)
    for some, width in ((configs, 7), (configs[::-1], 3)):
        found = histories(starts(some[:width]), waiting=iter(starts(some[width:])), execution=WHOLE)
        for config in some:
            assert_equal_to_the_bit(found[config.key()], single[config.key()])


def test_an_empty_row_stays_and_what_it_held_harms_nobody() -> None:
    fields = SHAPES["mlp of 3"]
    calm = pack_of(fields, 4)
    wild = trial_config(
        {**fields, "seed": 5, "optimizer": {"kind": "adamw", "lr": 1e3, "weight_decay": 1e3}}
    )
    found = histories(starts([wild, *calm]), execution=WHOLE)
    outcome = found[wild.key()].outcome
    assert outcome is not None
    assert outcome.name == "diverged"
    single = alone(calm, WHOLE)
    for config in calm:
        assert_equal_to_the_bit(found[config.key()], single[config.key()])


def test_rows_stand_on_the_ladder_and_empty_ones_learn_nothing() -> None:
    trials = (1, 2, 3, 4, 5, 16, 17)
    assert [rung(each, "graphed") for each in trials] == [1, 2, 4, 4, 8, 16, 32]
    assert [rung(each, "compiled") for each in trials] == [2, 2, 4, 4, 8, 16, 32]
    configs = pack_of(SHAPES["mlp of 3"], 3)
    made = Pack.of(starts(configs), CPU, WHOLE)
    assert (len(made.rows), made.live) == (4, [0, 1, 2])
    make_examples(made)
    for _ in range(3):
        made.advance()
    made.settle([1])
    assert (len(made.rows), made.live) == (4, [0, 2])
    before = made.flat.clone()
    make_examples(made)
    made.advance()
    assert [bool((made.flat[row] != before[row]).any()) for row in range(4)] == [
        True,
        False,
        True,
        False,
    ]
    assert made.done[:3] == [4, 3, 4]
    assert Pack.of(starts(configs), CPU).live == [0, 1, 2]


def test_fewer_rows_pay_where_more_is_left_than_a_program_takes() -> None:
    assert pays(8, 4, steps_left=100_000, step_s=1e-3, preparation_s=20.0)
    assert not pays(8, 4, steps_left=10_000, step_s=1e-3, preparation_s=20.0)


@needs_compiler
def test_a_compiled_trial_gives_the_same_bits_in_any_pack_and_whoever_leaves_or_joins() -> None:
    fields = square_fields(model={"kind": "mlp", "width": 16})
    configs = pack_of(fields, 7)
    single = alone(configs, COMPILED)
    eager = alone(configs, Execution())
    queue = configs[::-1]
    found = histories(starts(queue[:4]), waiting=iter(starts(queue[4:])), execution=COMPILED)
    for config in configs:
        key = config.key()
        assert_equal_to_the_bit(found[key], single[key])
        assert losses(found[key]) == pytest.approx(losses(eager[key]), rel=1e-3)
    halves: dict[str, History] = {}
    histories(starts(configs[:3]), halves, execution=COMPILED, should_stop=after(2))
    left = [each for each in configs[:3] if halves[each.key()].outcome is None]
    assert left
    again = [Start(each, halves[each.key()].saved[-1]) for each in left]
    histories(again, halves, execution=COMPILED)
    for config in configs[:3]:
        assert_equal_to_the_bit(halves[config.key()], single[config.key()])


@needs_compiler
def test_rows_are_dropped_once_a_smaller_program_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = square_fields(model={"kind": "mlp", "width": 16})
    configs = pack_of(fields, 4)
    for there in (False, True):
        made = Pack.of(starts(configs), CPU, COMPILED)
        make_examples(made)
        made.advance()
        monkeypatch.setattr(pack, "is_compiled", lambda *_, there=there: there)
        made.settle([0, 2, 3])
        assert len(made.rows) == (2 if there else 4)
        assert [made.rows[row].key for row in made.live] == [configs[1].key()]


@needs_compiler
@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", SHAPES)
def test_compiled_bits_depend_on_no_neighbour_for_any_shape(name: str) -> None:
    """10 minutes in all where nothing is cached."""
    configs = pack_of(SHAPES[name], 8)
    single = alone(configs[:3], COMPILED)
    for some in (configs, configs[:3]):
        found = histories(starts(some), execution=COMPILED)
        for config in configs[:3]:
            assert_equal_to_the_bit(found[config.key()], single[config.key()])


@needs_compiler
def test_what_a_step_and_its_preparation_take_are_told_apart() -> None:
    configs = pack_of(square_fields(model={"kind": "mlp", "width": 16}), 4)
    assert preparation_s(configs, execution=Execution()) == 0.0
    prepared_s = preparation_s(configs, execution=COMPILED)
    assert prepared_s > 0.05
    assert preparation_s(configs, execution=COMPILED) == prepared_s  # once in a process
    for execution in (Execution(), COMPILED, WHOLE):
        assert 0 < seconds_per_step(configs, execution=execution) < min(0.5, prepared_s)


def test_a_machine_without_a_compiler_is_told_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not compiled_works()
    trial = trial_config(gcd_fields())
    with pytest.raises(InputError, match=r"expected a C\+\+ compiler") as caught:
        next(train([Start(trial)], execution=COMPILED))
    assert "\n" not in str(caught.value)
    assert isinstance(list(train([Start(trial)]))[-1], Ended)  # eager steps need none


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_compiled_code_is_kept_where_nobody_else_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back as it was
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = tmp_path / "lawsweep" / "compiled"
    own.mkdir(parents=True)
    own.chmod(mode)
    compiled.use_private_cache()
    found = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert (found == own) == (mode == 0o700)
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    if found != own:
        found.rmdir()


@pytest.mark.parametrize("changes", [{"parts": 3}, {"recompute": True}], ids=str)
def test_whole_steps_in_parts_or_with_less_memory_give_the_same_curves(
    changes: dict[str, Any],
) -> None:
    configs = pack_of(SHAPES["decoder-only"], 2)
    plain = histories(starts(configs), execution=WHOLE)
    found = histories(starts(configs), execution=Execution("graphed", **changes))
    for config in configs:
        key = config.key()
        assert losses(found[key]) == pytest.approx(losses(plain[key]), rel=1e-3)
