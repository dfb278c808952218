"""One sweep file in, a checked report out: through the commands, on the real things."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis.cli import main

ROOT = Path(__file__).parents[2]

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

SWEEP = """\
name: tiny
about: Does a network with more neurons fit a parabola better?
trial:
  task: {kind: square}
  model: {kind: mlp, width: 8}
  optimizer: {kind: adam, lr: 1.0e-2, schedule: cosine}
  batch_size: 32
  budget: {steps: 60}
  evaluation: {points: 4, examples: 100}
axes:
  - {kind: values, field: model.width, values: [4, 8, 16, 32]}
replicates: 3
objective: {metric: test_loss, mode: min}
report:
  question: Does the loss fall with the width?
  tables: [{title: By width, rows: [model.width], metrics: [test_loss]}]
  fits: [{name: width, law: power, inputs: {x: model.width}, metric: test_loss}]
claims:
  - {say: a parabola is learned at once, metric: test_loss, at_most: 1.0e-9, published: 1.0e-9}
  - {say: it needs a long training, metric: test_loss, at_most: 9.0, needs: {budget.steps: 1000}}
  - {say: the loss falls as the fourth power, fit: width, coefficient: c, published: 4}
"""

DIVERGES = (
    SWEEP.replace("name: tiny", "name: hot")
    .replace("width: 8}", "width: 8, layers: 12, activation: relu}")
    .replace(
        "axes:\n", "axes:\n  - {kind: values, field: optimizer.lr, values: [1.0e-3, 1.0e+3]}\n"
    )
)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job")
    for name, text in (("tiny", SWEEP), ("hot", DIVERGES)):
        (folder / f"{name}.yaml").write_text(text)
        launched = ["launch", str(folder / f"{name}.yaml"), "--inline"]
        assert main([*launched, "--storage", str(folder / "storage")]) == 0
        assert main(["report", name, "--storage", str(folder / "storage")]) == 0
    return folder / "storage"


def test_the_report_is_one_file_that_loads_nothing_and_runs_nothing(storage):
    page = (storage / "sweeps/tiny/report/report.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "Does the loss fall with the width?" in page
    for address in ('src="http', 'href="http', "url(http"):
        assert address not in page


def test_every_claim_has_a_verdict_and_a_no_is_said(storage):
    study = json.loads((storage / "sweeps/tiny/report/study.json").read_text())
    verdicts = {claim["say"]: claim["verdict"] for claim in study["claims"]}
    assert verdicts["a parabola is learned at once"] == "not reproduced"
    assert verdicts["it needs a long training"] == "not comparable"
    assert verdicts["the loss falls as the fourth power"] == "not reproduced"


def test_the_report_lies_beside_the_runs_in_mlflow(storage):
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "trial.key" not in run.data.tags]
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert "report.html" in names
    assert len(runs) == 1 + 12


def test_diverged_trials_are_results_that_the_report_lists(storage):
    study = json.loads((storage / "sweeps/hot/report/study.json").read_text())
    page = (storage / "sweeps/hot/report/report.html").read_text()
    diverged = [one for one in study["omitted"] if one["outcome"] == "diverged"]
    assert diverged
    for one in diverged:
        assert one["fields"]["optimizer.lr"] == 1000.0
        assert one["reason"].startswith("the loss was not finite")
        assert one["key"] in page


def test_the_same_study_gives_the_same_bytes(storage):
    report = storage / "sweeps/tiny/report"
    before = {path.name: path.read_bytes() for path in report.rglob("*") if path.is_file()}
    assert main(["report", "tiny", "--storage", str(storage)]) == 0
    assert {p.name: p.read_bytes() for p in report.rglob("*") if p.is_file()} == before


def test_status_tells_where_each_trial_stands_without_a_driver(storage, capsys):
    assert main(["status", "tiny", "--storage", str(storage), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["run_by"] is None
    assert told["counts"] == {"finished": 12}
    assert all(trial["step"] == trial["steps"] == 60 for trial in told["trials"])


def test_a_trial_run_again_gives_the_same_bits(storage, capsys):
    main(["status", "tiny", "--storage", str(storage), "--json"])
    key = json.loads(capsys.readouterr().out)[0]["trials"][5]["key"]
    assert main(["rerun", key, "--storage", str(storage)]) == 0
    said = capsys.readouterr().out
    assert said.count("same bits") == 4
    assert "DIFFERS" not in said


def test_a_second_launch_trains_nothing_and_says_so(storage, capsys):
    before = {p: p.stat().st_mtime_ns for p in (storage / "trials").rglob("*")}
    file = str(storage.parent / "tiny.yaml")
    assert main(["launch", file, "--inline", "--storage", str(storage)]) == 0
    assert "nothing is left to train" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (storage / "trials").rglob("*")} == before


def test_a_machine_without_ray_and_mlflow_trains_inline_and_its_folder_is_published_elsewhere(
    tmp_path, capsys
):
    bare = tmp_path / "site-packages"
    bare.mkdir()
    for entry in Path(pytest.__file__).parents[1].iterdir():
        if not entry.name.startswith(("ray", "mlflow")):
            (bare / entry.name).symlink_to(entry)
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(bare)!r}]\n"
        "from analysis.cli import main\n"
        "sys.exit(main(['launch', 'tiny.yaml', '--inline', '--storage', 'away']))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert "MLflow is not installed" in ran.stdout
    copied = tmp_path / "home"
    shutil.copytree(tmp_path / "away", copied)
    assert main(["sync", "tiny", "--storage", str(copied)]) == 0
    assert "nothing is left to publish" in capsys.readouterr().out
    assert main(["report", "tiny", "--storage", str(copied)]) == 0
    study = json.loads((copied / "sweeps/tiny/report/study.json").read_text())
    assert study["finished"] == 12


@pytest.mark.parametrize("listing", ["tasks", "positions", "laws", "catalog", "doctor"])
def test_what_there_is_can_be_listed(listing, capsys):
    assert main([listing]) == 0
    said = capsys.readouterr().out
    known = {"tasks": "gcd", "positions": "rope", "laws": "chinchilla", "catalog": "quickstart"}
    assert known.get(listing, "torch") in said
