"""A training that hangs, also inside C code that holds the interpreter's lock, ends its process."""

import subprocess
import sys
from pathlib import Path

from sweeps.running.history import history
from sweeps.running.watchdog import HANG_FILE, Watchdog, read_hang
from sweeps.storage.ledger import Ledger
from tests.unit.test_pack import configs
from trainers.config import TrialConfig
from trainers.result import Point

HANGS = """\
import ctypes, json, sys
from pathlib import Path
from sweeps.running.pack import train_pack
from sweeps.running.watchdog import Watchdog
from sweeps.storage.ledger import Ledger
from trainers import loop
from trainers.config import trial_config

storage, seed, least_s = sys.argv[1:]
ledger = Ledger(Path(storage))
found = [trial_config(json.loads(line)) for line in sys.stdin]
working = loop.training_batch

def hangs(some, *others):
    if any(config.seed == int(seed) for config in some):
        ctypes.PyDLL(None).sleep(100)  # holds the interpreter's lock, unlike time.sleep
    return working(some, *others)

loop.training_batch = hangs
for event in train_pack(
    ledger, found, device="cpu", save_every_s=60.0, should_stop=bool, watchdog=Watchdog(float(least_s))
):
    pass
"""


def train_in_a_process(storage: Path, hanging_seed: int, least_s: float = 1.0) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", HANGS, str(storage), str(hanging_seed), str(least_s)],
        input="\n".join(config.model_dump_json() for config in configs()),
        text=True,
        timeout=100,
        cwd=Path(__file__).parents[2],
    )
    return ran.returncode


def test_a_trial_that_hangs_twice_at_a_step_fails_and_costs_its_pack_one_attempt(tmp_path):
    ledger = Ledger(tmp_path)
    innocent, guilty = (ledger.trial(config.key()) for config in configs())
    assert train_in_a_process(tmp_path, 1) == 1  # nobody knows yet which of the two it is
    for folder in (innocent, guilty):
        hang = read_hang(folder.attempts()[-1])
        assert hang is not None
        assert "in hangs" in hang.traceback
        assert folder.outcome() is None
    assert train_in_a_process(tmp_path, 1) == 1
    # what is not said to hang trains to its end, also on a machine that stands still for seconds
    assert train_in_a_process(tmp_path, 1, least_s=60.0) == 0
    outcome = innocent.outcome()
    assert outcome is not None
    assert outcome.name == "finished"
    outcome = guilty.outcome()
    assert outcome is not None
    assert outcome.name == "failed"
    assert outcome.reason == "hung: no progress for 10 s at step 0 (twice)"
    assert len(guilty.attempts()) == 2
    assert "in hangs" in (guilty.attempts()[0] / "notes.txt").read_text()


def hung(ledger: Ledger, config: TrialConfig, step: int) -> None:
    """An attempt that the watchdog ended, as far as its files show."""
    attempt = ledger.trial(config.key()).begin(config.model_dump())
    attempt.append([Point(step, {"loss": 1.0})] if step else [], 0)
    (attempt.path / HANG_FILE).write_text(
        "Timeout (0:01:00)!\nThread 0x1 (most recent call first):\n"
    )


def test_hangs_count_together_only_at_the_same_step(tmp_path):
    ledger, config = Ledger(tmp_path), configs()[0]
    for step in (2, 4, 6):
        hung(ledger, config, step)
        assert history(ledger.trial(config.key())).verdict() is None
    hung(ledger, config, 6)
    verdict = history(ledger.trial(config.key())).verdict()
    assert verdict == "hung: no progress for 60 s at step 6 (twice)"


def test_a_watchdog_allows_ten_times_the_longest_silence_so_far(tmp_path):
    watchdog = Watchdog(least_s=60.0)
    watchdog.guard([tmp_path], weight=3.0)
    assert watchdog.limit_s == 600.0  # nothing is known of the pace yet
    watchdog.pace(known=True)
    watchdog.alive()
    assert watchdog.limit_s == 60.0
    watchdog.longest_s = 7.0
    assert watchdog.limit_s == 10 * 7.0 * 3.0
    watchdog.release()
    assert read_hang(tmp_path) is None
