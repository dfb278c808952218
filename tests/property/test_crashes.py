"""Killed at any call, or without power at any moment: what was promised is there, and nothing is half."""

import json
import random
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sweeps.storage.attempt import Attempt, TrialEnded
from sweeps.storage.ledger import Ledger, TrialFolder
from sweeps.storage.start import Drift
from tests.crashing import Disk, Killed
from trainers.checkpoint import find_checkpoint, is_whole, write_checkpoint
from trainers.result import Outcome, Point, Saved

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking takes minutes
KEY = "0123456789abcdef0123"
CONFIG = {"model": {"width": 64}, "seed": 1}
KILLS = st.none() | st.tuples(st.integers(1, 40), st.booleans())
"""At which call, and whether the call is still done."""
POWER = st.none() | st.integers(0, 1 << 16)


def values(step: int, code: int) -> dict[str, float]:
    """What training gives at a step: a function of the step and of the code alone."""
    return {"loss": 1.0 / (step + 1) + code, "accuracy": float(step)}


@dataclass
class Running:
    """An attempt and what it was promised; it may have been overtaken long ago."""

    attempt: Attempt
    number: int
    code: int
    step: int
    alone_from: int | None  # it drifted, so what older ones wrote of later steps does not count
    promised: set[int] = field(default_factory=set[int])
    tried: set[int] = field(default_factory=set[int])
    saved: int = 0
    alive: bool = True
    begun: bool = True  # `begin` has returned


class Storage(RuleBasedStateMachine):
    """One trial, its attempts, killed and revived, on one disk."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        home = Path(self._folder.name)
        (home / "backup").mkdir()
        (home / "disk").mkdir()
        self.disk = Disk(home / "disk", home / "backup")
        self.trial: TrialFolder = Ledger(home / "disk" / "storage").trial(KEY)
        self.running: list[Running] = []
        self.code = 0
        self.promised: Outcome | None = None
        self.tried: list[Outcome] = []
        self.seen: Outcome | None = None  # an outcome that was there once stays there

    def teardown(self) -> None:
        self._folder.cleanup()

    def alive(self) -> list[Running]:
        return [each for each in self.running if each.alive]

    def _killed(self, who: Running | None, power: int | None) -> None:
        if who is not None:
            who.alive = False
        if power is not None:
            self.disk.fail_power(random.Random(power))
            self.seen = None  # what a reader saw may have been on no disk yet
            for each in self.running:
                each.alive = False
            # a start that was not promised may have been lost; one that was must not
            self.running = [
                each for each in self.running if each.begun or each.attempt.begun() is not None
            ]

    def _process(self, kill: tuple[int, bool] | None):
        return self.disk.process(
            *(() if kill is None else (kill[0],)), done_first=bool(kill and kill[1])
        )

    @rule(drifts=st.booleans(), kill=KILLS, power=POWER)
    def begin(self, drifts: bool, kill: tuple[int, bool] | None, power: int | None) -> None:
        self.code += drifts
        found = find_checkpoint(self.trial.attempts(), KEY).saved
        start = 0 if found is None else found.step
        written = self.trial.last_written()
        then = {int(found.numbers["code"])} if found is not None else set[int]()
        then |= {int(written.fingerprint["code"])} if written is not None else set()
        drift = Drift("code", start) if then - {self.code} else None
        try:
            with self._process(kill):
                attempt = self.trial.begin(
                    CONFIG, fingerprint={"code": str(self.code)}, drift=drift
                )
        except Killed:
            self._killed(None, power)
            self._adopt_unknown(start, drift)
            return
        except TrialEnded:
            assert self.trial.outcome() is not None
            self._adopt_unknown(start, drift)
            return
        assert self.promised is None, "a trial with an outcome was begun again"
        assert self.disk.unsynced() == []
        number = int(attempt.path.name.removeprefix("attempt-"))
        alone = None if drift is None else drift.from_step
        self.running.append(Running(attempt, number, self.code, start, alone))

    def _adopt_unknown(self, start: int, drift: Drift | None) -> None:
        """An attempt whose process was killed while it began may have its folder and its start file."""
        known = {each.attempt.path for each in self.running}
        for path in self.trial.attempts():
            begun = Attempt(path).begun()
            if path in known or begun is None:
                continue
            alone = drift.from_step if begun.drift and drift else None
            number = int(path.name.removeprefix("attempt-"))
            self.running.append(
                Running(Attempt(path), number, self.code, start, alone, alive=False, begun=False)
            )

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), kill=KILLS, power=POWER)
    def append(self, data: st.DataObject, kill: tuple[int, bool] | None, power: int | None) -> None:
        who = data.draw(st.sampled_from(self.alive()))
        step = who.step + 1
        who.tried.add(step)
        try:
            with self._process(kill):
                who.attempt.append([Point(step, values(step, who.code))], now_ms=step)
        except Killed:
            self._killed(who, power)
            return
        assert self.disk.unsynced() == []
        who.step = step
        who.promised.add(step)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), kill=KILLS, power=POWER)
    def save(self, data: st.DataObject, kill: tuple[int, bool] | None, power: int | None) -> None:
        who = data.draw(st.sampled_from(self.alive()))
        if who.attempt.is_fenced():
            return  # as a worker does
        tensors = {"weights": torch.full((4,), float(who.step))}
        saved = Saved(KEY, who.step, tensors, {"code": float(who.code)})
        try:
            with self._process(kill):
                write_checkpoint(who.attempt.path, saved)
        except Killed:
            self._killed(who, power)
            return
        assert self.disk.unsynced() == []
        who.saved = who.step

    @precondition(lambda self: self.alive())
    @rule(
        data=st.data(),
        name=st.sampled_from(["finished", "failed", "stopped"]),
        kill=KILLS,
        power=POWER,
    )
    def finish(self, data: st.DataObject, name, kill, power: int | None) -> None:
        who = data.draw(st.sampled_from(self.alive()))
        outcome = Outcome(name, who.step, {"by": float(who.number)})
        self.tried.append(outcome)
        try:
            with self._process(kill):
                ended = who.attempt.finish(outcome)
        except Killed:
            self._killed(who, power)
            return
        assert self.disk.unsynced() == []
        who.alive = False
        if ended:
            newest = max(each.number for each in self.running)
            assert who.number == newest, "an older attempt ended the trial"
            assert self.promised is None, "a second outcome"
            self.promised = outcome
        else:
            self.tried.remove(outcome)

    @precondition(lambda self: self.seen is not None)
    @rule(kill=KILLS, power=POWER)
    def reopen(self, kill: tuple[int, bool] | None, power: int | None) -> None:
        before = self.trial.outcome()
        if before is None:
            return
        try:
            with self._process(kill):
                self.trial.reopen()
        except Killed:
            self._killed(None, power)
            if self.trial.outcome() is not None:
                return
        self.promised = self.seen = None
        self.tried.clear()
        for each in self.running:
            each.alive = False  # those who look now find a trial that is to be begun again

    @invariant()
    def the_outcome_is_what_was_promised(self) -> None:
        found = self.trial.outcome()
        if self.promised is not None:
            assert found == self.promised
        if self.seen is not None:
            assert found == self.seen
        assert found is None or found in self.tried
        self.seen = found

    @invariant()
    def the_curve_has_every_promised_point_and_no_other_value(self) -> None:
        points = {point.step: point.values for point in self.trial.points()}
        for each in self.running:
            for step in each.promised:
                if not self._superseded(each, step):
                    assert points[step] == values(step, each.code)
        for step, found in points.items():
            assert any(
                step in each.tried
                and not self._superseded(each, step)
                and found == values(step, each.code)
                for each in self.running
            )

    def _superseded(self, older: Running, step: int) -> bool:
        """Whether what an attempt wrote of a step does not count: it ran under other code."""
        drifts: list[int] = []
        for each in sorted(self.running, key=lambda each: each.number):
            if each.number <= older.number:
                continue
            if each.alone_from is not None:
                drifts.append(each.alone_from)
            if not drifts and each.code != older.code:
                return True  # the older one had written nothing when this one began
        return any(step > alone_from for alone_from in drifts)

    @invariant()
    def the_newest_checkpoint_is_at_least_as_new_as_the_last_that_was_promised(self) -> None:
        found = find_checkpoint(self.trial.attempts(), KEY)
        assert found.damaged == ()
        step = 0 if found.saved is None else found.saved.step
        assert step >= max((each.saved for each in self.running), default=0)

    @invariant()
    def no_file_is_half(self) -> None:
        for path in self.trial.path.rglob("*"):
            if path.name.startswith(".") or not path.is_file():
                continue
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            if path.name.startswith("checkpoint-") and path.suffix == ".json":
                assert is_whole(path, KEY)


class TestStorage(Storage.TestCase):
    settings = settings(
        max_examples=30, stateful_step_count=25, report_multiple_bugs=False, phases=PHASES
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestStorageForLong(Storage.TestCase):  # about 20 minutes
    settings = settings(max_examples=5_000, stateful_step_count=40)


def everything(disk: Disk, storage: Path, kill_at: int, done_first: bool) -> tuple[str, ...]:
    """A short life of a trial, killed at one of its calls; what was promised by then."""
    trial, promised = Ledger(storage).trial(KEY), []
    try:
        with disk.process(kill_at, done_first=done_first):
            attempt = trial.begin(CONFIG)
            promised.append("begun")
            for step in (1, 2):
                attempt.append([Point(step, values(step, 0))], now_ms=step)
                promised.append(f"point {step}")
                write_checkpoint(attempt.path, Saved(KEY, step, {"weights": torch.ones(4)}, {}))
                promised.append(f"checkpoint {step}")
            attempt.note("noted")
            assert attempt.finish(Outcome("finished", 2))
            promised.append("outcome")
    except Killed:
        pass
    return tuple(promised)


@pytest.mark.parametrize("power", [None, 0, 1, 2], ids=lambda power: f"power {power}")
@pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])
def test_at_every_single_call_what_was_promised_is_there_and_the_next_attempt_ends_the_trial(
    tmp_path, done_first, power
):
    kill_at, seen = 0, set()
    while True:
        kill_at += 1
        home = tmp_path / str(kill_at)
        (home / "backup").mkdir(parents=True)
        disk = Disk(home / "disk", home / "backup")
        (home / "disk").mkdir()
        promised = everything(disk, home / "disk" / "storage", kill_at, done_first)
        if power is not None:
            disk.fail_power(random.Random(power * 1_000 + kill_at))
        trial = Ledger(home / "disk" / "storage").trial(KEY)
        steps = [point.step for point in trial.points()]
        checkpoint = find_checkpoint(trial.attempts(), KEY)
        saved = checkpoint.saved
        assert checkpoint.damaged == ()
        for step in (1, 2):
            assert f"point {step}" not in promised or step in steps
            assert f"checkpoint {step}" not in promised or (saved and saved.step >= step)
        assert "outcome" not in promised or trial.outcome() == Outcome("finished", 2)
        seen.add(promised)
        if disk.calls < kill_at:
            break
        if trial.outcome() is None:
            with disk.process(), suppress(TrialEnded):  # which a killed attempt had made sure of
                assert trial.begin(CONFIG).finish(Outcome("finished", 2))
            disk.fail_power(random.Random(kill_at))
        assert trial.outcome() == Outcome("finished", 2)
    assert len(seen) == 7  # each promise was once the last
