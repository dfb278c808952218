"""The same sweep launched twice at once, by the real command."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping

LAUNCHES = 100


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_of_two_commands_at_once_exactly_one_runs_a_hundred_times(tmp_path: Path) -> None:
    """About half an hour; the first to end is the one that was refused, with exit code 3."""
    file = tmp_path / "small.yaml"
    file.write_text(sweeping.SWEEP.replace("steps: 300", "steps: 100_000"))
    refused_s = 0.0
    for number in range(LAUNCHES):
        storage = tmp_path / f"storage-{number % 10}"
        command = sweeping.command("launch", file, "--storage", storage, "--inline", "--yes")
        drivers = [
            subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=sweeping.environment(),
            )
            for _ in range(2)
        ]
        started = time.monotonic()
        while all(driver.poll() is None for driver in drivers):
            assert time.monotonic() - started < 120, "neither was refused"
            time.sleep(0.05)
        refused_s = max(refused_s, time.monotonic() - started)
        loser, winner = sorted(drivers, key=lambda driver: driver.poll() is None)
        assert loser.returncode == 3
        assert loser.stderr is not None
        assert loser.stderr.read().startswith("sweep small is run by ")
        time.sleep(0.2)
        assert winner.poll() is None
        assert Ledger(storage).sweep("small").owner() is not None
        winner.send_signal(signal.SIGINT)
        assert winner.wait(120) == 130
        assert Ledger(storage).sweep("small").owner() is None
    sys.stderr.write(f"the slowest refusal took {refused_s:.1f} s\n")
