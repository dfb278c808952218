import json
from pathlib import Path

from sweeps.planning.cost import price
from sweeps.planning.plan import plan
from sweeps.running.inline import train_inline
from sweeps.spec import resolved_text
from sweeps.storage.ledger import Ledger
from tests.unit.test_plan import sweep


def test_a_plan_covers_every_open_trial_in_exactly_one_pack(tmp_path):
    priced = price(plan(sweep()), Ledger(tmp_path), device="cpu", workers=2)
    packed = [each.trial.key for pack in priced.packs for each in pack.trials]
    assert sorted(packed) == sorted(each.trial.key for each in priced.trials)
    for pack in priced.packs:
        assert len({each.trial.config.stacks_with() for each in pack.trials}) == 1
    seconds = [pack.seconds for pack in priced.packs]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < max(seconds) <= priced.seconds <= sum(seconds)


def test_planning_writes_nothing_where_there_is_no_storage(tmp_path):
    price(plan(sweep()), Ledger(tmp_path / "absent"), device="cpu", workers=2)
    assert list(tmp_path.iterdir()) == []


def test_measured_rates_are_remembered_in_the_storage(tmp_path):
    first = price(plan(sweep()), Ledger(tmp_path), device="cpu", workers=2)
    (remembered,) = Path(tmp_path, "rates").iterdir()
    before = json.loads(remembered.read_text())
    second = price(plan(sweep()), Ledger(tmp_path), device="cpu", workers=2)
    assert json.loads(remembered.read_text()) == before
    assert [each.seconds for each in second.trials] == [each.seconds for each in first.trials]


def test_what_is_finished_costs_nothing_and_is_in_no_pack(tmp_path):
    ledger, planned = Ledger(tmp_path), plan(sweep())
    ledger.sweep("test").write_plan(
        resolved_text(planned.sweep), [t.record() for t in planned.trials]
    )
    priced = price(planned, ledger, device="cpu", workers=2)
    first = priced.packs[-1]
    train_inline([first], ledger, "test", device="cpu", save_every_s=60.0)
    again = price(planned, ledger, device="cpu", workers=2)
    done = {each.trial.key for each in first.trials}
    for each in again.trials:
        finished = each.trial.key in done
        assert each.state == ("finished" if finished else "new")
        assert (each.seconds == 0) == finished
    packed = {each.trial.key for pack in again.packs for each in pack.trials}
    assert packed == {each.trial.key for each in again.trials} - done
