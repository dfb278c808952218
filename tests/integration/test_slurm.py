"""The script for Slurm really runs a sweep, and saves it when its time is over; only Slurm is played.

Ray's `symmetric-run` ends with `ray stop`, which kills every Ray of the machine; so the script runs among
processes of its own, which also end with it.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration import sweeping
from tests.integration.trackers import free_port

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(900),
    pytest.mark.slow,  # a minute
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: processes of its own"),
]

ROOT = Path(__file__).parents[2]
ALONE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

# runs the command here, as srun does on each node; its own options come first
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" >> "$HOME/scontrol"; fi
"""


def slurm(folder: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """The script as the batch shell of a job of one node."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **sweeping.environment(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "RAY_TMPDIR": "/tmp",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_NODELIST": "node[1]",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_ID": str(free_port()),  # the script makes a port of it
    }
    log = (folder / "log").open("ab")
    return subprocess.Popen(
        [*ALONE, ROOT / "deploy/slurm.sh", *arguments], env=environment, stdout=log, stderr=log
    )


def batch_shell(job: "subprocess.Popen[bytes]") -> int:
    """The process that Slurm signals: the script itself, below `unshare`."""
    return int(Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()[0])


def test_a_job_under_slurm_saves_when_it_is_told_and_the_next_one_goes_on(tmp_path):
    storage, log = tmp_path / "storage", tmp_path / "log"
    arguments = [sweeping.write_sweep(tmp_path), storage, "--save-every", "1000"]
    job = slurm(tmp_path, *arguments)
    until = time.monotonic() + 300
    while sweeping.points_written(storage) < 60:
        assert job.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    os.kill(batch_shell(job), signal.SIGTERM)
    assert job.wait(timeout=200) == 143, log.read_text()
    assert (tmp_path / "scontrol").read_text().startswith("requeue ")
    token = tmp_path / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text() not in log.read_text()

    half = sweeping.points_written(storage)
    assert 0 < half < sweeping.TRIALS * sweeping.POINTS
    again = slurm(tmp_path, *arguments)
    assert again.wait(timeout=400) == 0, log.read_text()
    assert sweeping.points_written(storage) == sweeping.TRIALS * sweeping.POINTS  # none twice
    assert len((tmp_path / "scontrol").read_text().splitlines()) == 1
