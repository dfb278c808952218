"""A search on a real Ray cluster: trials are stopped, and a kill changes nothing of what comes out."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping
from trainers.checkpoint import newest_checkpoint

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

TRIALS = 9
SEARCH = f"""\
name: small
trial:
  task: {{kind: square}}
  model: {{kind: mlp, width: 16}}
  optimizer: {{kind: adam, lr: 1.0e-2}}
  batch_size: 32
  budget: {{steps: 2000}}
  evaluation: {{points: 10, examples: 200}}
search:
  trials: {TRIALS}
  space:
    optimizer.lr: {{kind: log_uniform, low: 1.0e-5, high: 1.0e-1}}
    model.width: {{kind: choice, values: [8, 16]}}
  searcher: {{kind: optuna, seed: 1, startup: 4}}
  scheduler: {{kind: asha, grace: 0.2, reduction: 2}}
  at_once: 1
objective: {{metric: test_loss, mode: min}}
"""


def launch(folder: Path, storage: Path) -> list[str | Path]:
    file = folder / "small.yaml"
    file.write_text(SEARCH)
    return ["launch", file, "--storage", storage, "--save-every", "0.2"]


def story(storage: Path) -> list[tuple[Any, ...]]:
    """Every trial in the order in which it was suggested, and how it ended."""
    ledger = Ledger(storage)
    found: list[tuple[Any, ...]] = []
    for key in sweeping.keys(storage):
        outcome = ledger.trial(key).outcome()
        assert outcome is not None
        found.append((key, outcome.name, outcome.step, outcome.reason, outcome.metrics))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of the search run in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ran = sweeping.run(*launch(folder, folder / "storage"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "stopped early by asha" in ran.stdout
    return folder / "storage"


def test_bad_trials_are_stopped_with_their_checkpoint_kept_and_are_nowhere_finished(undisturbed):
    ledger = Ledger(undisturbed)
    ended = {key: (name, step, reason) for key, name, step, reason, _ in story(undisturbed)}
    assert len(ended) == TRIALS
    stopped = {key for key, (name, _, _) in ended.items() if name == "stopped"}
    assert 2 <= len(stopped) < TRIALS
    for key in stopped:
        _, step, reason = ended[key]
        assert step < 2000
        assert reason.startswith("asha: test_loss ")
        assert f" at step {step:,} of 2,000; rung at " in reason
        assert "cutoff" in reason
        saved, damaged = newest_checkpoint(ledger.trial(key).attempts(), key)
        assert saved is not None
        assert (saved.step, damaged) == (step, ())
        assert len(ledger.trial(key).attempts()) == 1
        assert ledger.trial(key).points()[-1].step == step  # none was trained beyond its end
    runs = sweeping.runs_by_key(f"sqlite:///{undisturbed}/mlflow.db")
    assert runs.keys() == ended.keys()
    for key, (run,) in runs.items():
        assert run.info.status == ("KILLED" if key in stopped else "FINISHED")
        assert run.data.tags["outcome"] == ended[key][0]
    assert parent(undisturbed).info.status == "FINISHED"
    assert parent(undisturbed).data.metrics["stopped"] == len(stopped)
    best = min(metrics["test_loss"] for *_, metrics in story(undisturbed))
    assert parent(undisturbed).data.metrics["best_test_loss"] == best
    status = sweeping.run("status", "--storage", undisturbed)
    assert f"{TRIALS - len(stopped)} finished   {len(stopped)} stopped" in status.stdout


def test_a_search_whose_driver_is_killed_comes_to_the_same_trials_and_the_same_ends(
    tmp_path, undisturbed
):
    storage = tmp_path / "storage"
    driver = sweeping.start(*launch(tmp_path, storage))
    until = time.monotonic() + 200
    # killed while a trial is trained, some having ended: no matter when
    while len(list(storage.glob("trials/*/*/outcome.json"))) < 4:
        assert driver.poll() is None, "the search ended before it could be disturbed"
        assert time.monotonic() < until, "no trial ended"
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    known = len(sweeping.keys(storage))
    assert known < TRIALS
    finished = sweeping.run(*launch(tmp_path, storage))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert story(storage) == story(undisturbed)
    assert sweeping.curves(storage) == sweeping.curves(undisturbed)
    runs = sweeping.runs_by_key(f"sqlite:///{storage}/mlflow.db")
    assert {key: len(found) for key, found in runs.items()} == dict.fromkeys(
        sweeping.keys(undisturbed), 1
    )


def parent(storage: Path) -> Any:
    """The sweep's own run."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (own,) = [run for run in runs if "trial.key" not in run.data.tags]
    return own
