"""Who drives a sweep, on file systems whose locks end at a machine, and whatever clocks say."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.storage import lease as leases
from sweeps.storage.lease import DEAD_AFTER_S, Clock, Held, Lease, newest_lease, take_lease
from sweeps.storage.ledger import Ledger
from sweeps.storage.sweep_folder import SweepLocked


class Hours:
    """A clock that stands still until somebody sleeps; `each` is done at every sleep."""

    def __init__(self, each: Callable[[], None] = lambda: None) -> None:
        self.seconds = 0.0
        self.each = each

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.each()


def taken(folder: Path, machine: str, hours: Hours, said: list[str] | None = None) -> Lease | Held:
    """The lease as a driver on `machine` gets it."""
    say = [].append if said is None else said.append
    return take_lease(folder, f"ann@{machine}:7", dead=machine, say=say, clock=hours.clock())


def elsewhere(folder: Path) -> None:
    """Let the newest lease be one of another machine, as its kernel is called."""
    file = max(folder.glob("lease-*"))
    text, counter = file.read_text().splitlines()
    file.write_text(json.dumps({**json.loads(text), "kernel": "elsewhere"}) + f"\n{counter}\n")


@pytest.fixture
def held(tmp_path: Path) -> Lease:
    """A lease that a driver on another machine has just taken."""
    found = taken(tmp_path, "far", Hours())
    elsewhere(tmp_path)
    assert isinstance(found, Lease)
    return found


def test_a_lease_that_moves_is_refused_naming_its_holder(tmp_path, held):
    said: list[str] = []
    hours = Hours(each=held.move)
    found = taken(tmp_path, "near", hours, said)
    assert isinstance(found, Held)
    assert found.owner == "ann@far:7"
    assert hours.seconds == 1.0
    assert said == ["ann@far:7 held it last; waiting up to 30 s for a sign of life"]


def test_a_lease_that_stands_still_for_thirty_seconds_is_taken_over(tmp_path, held):
    hours = Hours()
    found = taken(tmp_path, "near", hours)
    assert isinstance(found, Lease)
    assert hours.seconds == DEAD_AFTER_S
    newest = newest_lease(tmp_path)
    assert newest is not None
    assert (newest.number, newest.owner) == (2, "ann@near:7")
    assert [path.name for path in tmp_path.iterdir()] == ["lease-000002"]


def test_a_single_move_in_the_last_second_is_enough(tmp_path, held):
    hours = Hours()
    hours.each = lambda: held.move() if hours.seconds == DEAD_AFTER_S else None
    assert isinstance(taken(tmp_path, "near", hours), Held)


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_jump_of_any_clock_changes_nothing(tmp_path, held, monkeypatch, jump_s):
    """Neither makes a living driver look dead, nor a dead one alive."""
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: int((true_time() + jump_s) * 1e9))
    assert isinstance(taken(tmp_path, "near", Hours(each=held.move)), Held)
    hours = Hours()
    assert isinstance(taken(tmp_path, "near", hours), Lease)
    assert hours.seconds == DEAD_AFTER_S


def test_a_holder_that_was_suspended_learns_that_it_has_lost(tmp_path, held):
    new = taken(tmp_path, "near", Hours())
    assert isinstance(new, Lease)
    before = newest_lease(tmp_path)
    held.move()
    assert held.lost.is_set()
    assert "ann@near:7" in held.reason
    held.release()
    assert newest_lease(tmp_path) == before
    new.move()
    assert not new.lost.is_set()


def test_a_lease_that_was_given_back_need_not_be_waited_for(tmp_path, held):
    held.release()
    hours = Hours()
    assert isinstance(taken(tmp_path, "near", hours), Lease)
    assert hours.seconds == 0


def test_a_dead_driver_of_this_machine_need_not_be_waited_for(tmp_path):
    assert isinstance(taken(tmp_path, leases.kernel(), Hours()), Lease)
    hours = Hours()
    assert isinstance(taken(tmp_path, leases.kernel(), hours), Lease)
    assert hours.seconds == 0


def test_of_many_machines_that_wait_for_one_lease_exactly_one_gets_it(tmp_path):
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        taken(folder, "far", Hours())
        elsewhere(folder)
        ready, found = threading.Barrier(4), []

        def take(machine: str, folder=folder, ready=ready, found=found) -> None:
            hours = Hours()
            hours.each = lambda: None if hours.seconds < DEAD_AFTER_S else (ready.wait(), None)[1]
            found.append(taken(folder, machine, hours))

        threads = [threading.Thread(target=take, args=(f"m{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [each for each in found if isinstance(each, Lease)]
        assert len(found) == 4
        assert len(winners) == 1
        winners[0].move()
        assert not winners[0].lost.is_set()


def test_a_holder_whose_storage_is_away_gives_up_before_another_may_take_over(tmp_path):
    hours = Hours()
    found = taken(tmp_path, "near", hours)
    assert isinstance(found, Lease)
    file = tmp_path / "lease-000001"
    file.unlink()
    file.mkdir()  # as good as a disk that cannot be written
    while not found.lost.is_set():
        hours.sleep(leases.MOVES_EVERY_S)
        found.move()
    assert leases.UNSURE_AFTER_S < hours.seconds < DEAD_AFTER_S
    assert "could not be written" in found.reason


def test_a_damaged_lease_is_waited_for_as_one_of_an_unknown_driver(tmp_path):
    (tmp_path / "lease-000004").write_bytes(b"\xff{]")
    hours = Hours()
    assert isinstance(taken(tmp_path, "near", hours), Lease)
    assert hours.seconds == DEAD_AFTER_S
    newest = newest_lease(tmp_path)
    assert newest is not None
    assert newest.number == 5


def test_the_counter_moves_while_the_sweep_is_locked_and_stops_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "MOVES_EVERY_S", 0.01)
    folder = Ledger(tmp_path / "storage").sweep("gcd")
    with folder.lock() as lease:
        before = newest_lease(folder.path)
        assert before is not None
        until = time.monotonic() + 20
        while newest_lease(folder.path) == before:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not lease.lost.is_set()
    after = newest_lease(folder.path)
    assert after is not None
    assert after.is_released
    assert folder.owner() is None


def test_a_driver_of_another_machine_is_named_by_looking(tmp_path, held):
    ledger = Ledger(tmp_path / "storage")
    folder = ledger.sweep("gcd")
    with folder.lock():
        pass
    max(folder.path.glob("lease-*")).unlink()
    assert isinstance(taken(folder.path, "far", Hours()), Lease)
    assert folder.owner() is None  # of this machine, so dead: nobody has the lock
    elsewhere(folder.path)
    assert folder.owner() == "ann@far:7"
    assert folder.since_ms() is not None


DRIVER = """
import sys
from pathlib import Path
from sweeps.storage import lease, sweep_folder
from sweeps.storage.ledger import Ledger

ledger, machine = Ledger(Path(sys.argv[1])), sys.argv[2]
sweep_folder._LOCK_PAUSE_S = 0.001  # what it waits for `status` to let go; there is none here
lease.MOVES_EVERY_S, lease.DEAD_AFTER_S = 0.05, 1.0
if machine != "here":
    sweep_folder.kernel = lease.kernel = lambda: machine
for name in sys.stdin:
    try:
        with ledger.sweep(name.strip()).lock():
            print("won", flush=True)
            sys.stdin.readline()
    except sweep_folder.SweepLocked as error:
        print(error, flush=True)
        sys.stdin.readline()
    print("over", flush=True)
"""


def driver(storage: Path, machine: str = "here") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(storage), machine],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_two_drivers_at_once_exactly_one_wins_a_hundred_times(tmp_path):
    drivers = [driver(tmp_path), driver(tmp_path)]
    for number in range(100):
        name = f"sweep-{number % 10}"  # new ones, and such as were driven before
        for each in drivers:
            tell(each, name)
        answers = sorted(map(answer, drivers))
        assert answers[1] == "won", answers
        assert answers[0].startswith(f"sweep {name} is run by "), answers
        for each in drivers:
            tell(each, "go on")
        assert [answer(each) for each in drivers] == ["over", "over"]
    for each in drivers:
        each.communicate()


def test_on_a_file_system_without_common_locks_the_lease_decides(tmp_path):
    """The lock file is removed under the first driver, so its lock reaches nobody else."""
    first, second = driver(tmp_path, "m1"), driver(tmp_path, "m2")
    tell(first, "gcd")
    assert answer(first) == "won"
    (tmp_path / "sweeps" / "gcd" / "lock").unlink()
    tell(second, "gcd")
    assert answer(second).startswith("sweep gcd is run by ")
    tell(second, "go on")
    assert answer(second) == "over"
    first.kill()
    first.communicate()
    tell(second, "gcd")
    assert answer(second) == "won"  # after its counter has stood still
    tell(second, "go on")
    second.communicate()


def test_a_lock_that_is_refused_leaves_the_other_drivers_name_alone(tmp_path):
    folder = Ledger(tmp_path).sweep("gcd")
    with folder.lock():
        owner = folder.owner()
        with pytest.raises(SweepLocked):
            folder.lock().__enter__()
        assert folder.owner() == owner
