"""The storage folder: what it refuses, what it keeps, and who may write."""

import json
import os
import stat
import subprocess
import sys
import threading

import pytest

from sweeps.storage.curve import LedgerConflict, LedgerDamaged
from sweeps.storage.ledger import Ledger
from sweeps.storage.sweep_folder import SweepLocked
from trainers.result import Outcome, Point
from trainers.schema import InputError

KEY = "0123456789abcdef0123"
CONFIG = {"model": {"width": 64}, "seed": 1}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "storage")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        ".hidden",
        "a\0b",
        "a\n",
        "-rf",
        "x" * 65,
        "naïve",
        "a b",
    ],
)
def test_a_sweep_name_that_could_leave_its_folder_is_refused(ledger, name):
    with pytest.raises(InputError, match="expected a sweep name"):
        ledger.sweep(name)
    assert not ledger.root.exists()


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", KEY[:-1], KEY + "0", KEY.upper(), KEY + "\n"]
)
def test_a_key_that_is_not_twenty_hexadecimal_digits_is_refused(ledger, key):
    with pytest.raises(InputError, match="expected a trial key"):
        ledger.trial(key)


def test_looking_creates_nothing(ledger):
    trial, sweep = ledger.trial(KEY), ledger.sweep("gcd")
    assert (trial.outcome(), trial.config(), trial.attempts(), trial.points()) == (
        None,
        None,
        (),
        (),
    )
    assert (sweep.owner(), sweep.since_ms(), sweep.offsets("x"), sweep.stop_requested()) == (
        None, None, {}, False,
    )  # fmt: skip
    assert (ledger.sweeps(), ledger.keys()) == ((), frozenset())
    assert not ledger.root.exists()


def test_everything_is_readable_by_its_owner_alone(ledger):
    attempt = ledger.trial(KEY).begin(CONFIG)
    attempt.append([Point(1, {"loss": 1.0})], now_ms=5)
    attempt.finish(Outcome("finished", 1))
    ledger.sweep("gcd").write_plan("{}", [])
    for path in ledger.root.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_an_attempt_never_gets_the_folder_of_another_even_when_many_begin_at_once(ledger):
    trial = ledger.trial(KEY)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(trial.begin(CONFIG).path)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [trial.path / f"attempt-{n:04d}" for n in range(1, 17)]
    assert trial.attempts() == tuple(sorted(found))


def test_a_trial_keeps_the_config_with_which_it_began(ledger):
    trial = ledger.trial(KEY)
    trial.begin(CONFIG)
    trial.begin({"seed": 1, "model": {"width": 64}})  # the same, in another order
    with pytest.raises(LedgerConflict, match="another one"):
        trial.begin({**CONFIG, "seed": 2})
    assert trial.config() == CONFIG
    assert len(trial.attempts()) == 2


def test_only_the_first_outcome_counts(ledger):
    trial = ledger.trial(KEY)
    zombie, successor = trial.begin(CONFIG), trial.begin(CONFIG)
    assert successor.finish(Outcome("finished", 10, {"loss": 0.5}, {"learned": [1, 2]}))
    assert not zombie.finish(Outcome("failed", 3, reason="revived too late"))
    assert trial.outcome() == Outcome("finished", 10, {"loss": 0.5}, {"learned": [1, 2]})


def test_an_outcome_that_has_changed_on_disk_is_not_believed(ledger):
    trial = ledger.trial(KEY)
    trial.begin(CONFIG).finish(Outcome("finished", 10, {"loss": 0.5}))
    file = trial.path / "outcome.json"
    file.write_text(file.read_text().replace("0.5", "0.4"))
    with pytest.raises(LedgerDamaged, match="as it was written"):
        trial.outcome()


def test_two_attempts_that_disagree_are_reported_with_the_step_and_both_files(ledger):
    trial = ledger.trial(KEY)
    first, second = trial.begin(CONFIG), trial.begin(CONFIG)
    first.append([Point(100, {"loss": 0.0})], now_ms=1)
    second.append([Point(100, {"loss": -0.0})], now_ms=2)  # one bit
    with pytest.raises(LedgerConflict, match="step 100 differs") as error:
        trial.points()
    assert str(first.path) in str(error.value)
    assert str(second.path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_step_keeps_the_time_at_which_it_was_first_written(ledger):
    trial = ledger.trial(KEY)
    zombie, successor = trial.begin(CONFIG), trial.begin(CONFIG)
    successor.append([Point(100, {"loss": 1.0})], now_ms=50)
    zombie.append([Point(100, {"loss": 1.0})], now_ms=90)
    assert [point.time_ms for point in trial.points()] == [50]


def test_training_time_is_summed_over_attempts_and_not_over_the_pause_between_them(ledger):
    trial = ledger.trial(KEY)
    for start_ms in (1_000_000, 9_000_000):
        attempt = trial.begin(CONFIG)
        (attempt.path / "start.json").write_text(json.dumps({"time_ms": start_ms}))
        attempt.append([Point(start_ms, {"loss": 1.0})], now_ms=start_ms + 2_000)
        attempt.append([Point(start_ms + 1, {"loss": 1.0})], now_ms=start_ms + 5_000)
    assert trial.wall_s() == 10.0


def test_damage_in_the_middle_of_a_curve_is_an_error_and_not_a_shorter_curve(ledger):
    attempt = ledger.trial(KEY).begin(CONFIG)
    for step in range(3):
        attempt.append([Point(step, {"loss": 1.0})], now_ms=step)
    file = attempt.path / "metrics.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"step":1', b'"step":7'))
    with pytest.raises(LedgerDamaged, match="checksummed line"):
        ledger.trial(KEY).points()


def test_a_plan_is_replaced_whole(ledger):
    folder = ledger.sweep("gcd")
    record = {
        "key": KEY, "config": {}, "point": {}, "replicate": 0, "steps": 1, "flops": 1, "examples": 1,
    }  # fmt: skip
    folder.write_plan("first", [record] * 100)
    folder.write_plan("second", [{**record, "point": {"encoding.base": 30}}])
    assert folder.resolved() == "second"
    assert folder.trials() == [{**record, "point": {"encoding.base": 30}}]
    assert sorted(path.name for path in folder.path.iterdir()) == ["sweep.json", "trials.json"]
    assert ledger.sweeps() == ("gcd",)


def test_a_sweep_that_was_never_launched_here_is_named(ledger):
    with pytest.raises(InputError, match=r"launched into .*storage, got gcd"):
        ledger.sweep("gcd").trials()


def test_a_second_driver_is_told_who_runs_the_sweep_and_since_when(ledger):
    folder = ledger.sweep("gcd")
    with folder.lock():
        with pytest.raises(SweepLocked, match=rf"^sweep gcd is run by .+@.+:{os.getpid()} since "):
            folder.lock().__enter__()
        assert f":{os.getpid()} since " in (folder.owner() or "")
        assert folder.since_ms() is not None
    assert folder.owner() is None
    with folder.lock():
        pass


def test_a_lock_ends_with_the_process_that_held_it(ledger):
    program = (
        "import sys, pathlib\n"
        "from sweeps.storage.ledger import Ledger\n"
        "with Ledger(pathlib.Path(sys.argv[1])).sweep('gcd').lock():\n"
        "    print('locked', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", program, str(ledger.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"locked\n"
    assert f":{driver.pid} since " in (ledger.sweep("gcd").owner() or "")
    driver.kill()
    driver.communicate()
    assert ledger.sweep("gcd").owner() is None
    with ledger.sweep("gcd").lock():
        pass


def test_a_request_to_stop_is_seen_until_it_is_taken_back(ledger):
    folder = ledger.sweep("gcd")
    folder.clear_stop()
    folder.request_stop()
    assert folder.stop_requested()
    folder.clear_stop()
    assert not folder.stop_requested()


def test_offsets_are_kept_for_each_tracker_without_its_password(ledger):
    folder = ledger.sweep("gcd")
    folder.save_offsets("https://ann:s3cret@tracker.example/x", {KEY: 7})
    folder.save_offsets("sqlite:///other.db", {KEY: 1})
    assert folder.offsets("https://ann:changed@tracker.example/x") == {KEY: 7}
    assert folder.offsets("https://tracker.example/y") == {}
    for path in folder.path.rglob("*"):
        assert "s3cret" not in path.name
        assert path.is_dir() or b"s3cret" not in path.read_bytes()


def test_a_write_that_the_disk_takes_only_half_of_leaves_no_half_line(ledger):
    resource = pytest.importorskip("resource")
    attempt = ledger.trial(KEY).begin(CONFIG)
    attempt.append([Point(1, {"loss": 1.0})], now_ms=1)
    file = attempt.path / "metrics.jsonl"
    size = file.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))  # as a full disk would
    try:
        with pytest.raises(OSError, match="10 were taken"):
            attempt.append([Point(2, {"loss": 1.0})], now_ms=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    attempt.append([Point(2, {"loss": 1.0})], now_ms=3)
    assert [point.step for point in ledger.trial(KEY).points()] == [1, 2]


def test_the_ledger_and_its_display_wait_for_neither_torch_nor_ray_nor_mlflow():
    program = (
        "import sys, sweeps.storage.ledger, sweeps.watching.progress\n"
        "print(sorted({'torch', 'ray', 'mlflow', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"
