"""`lawsweep reproduce` over a small catalogue: it trains, is killed, goes on, and says what came out."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from tests.integration import sweeping

SWEEP = """\
name: {name}
topic: {topic}
about: A network with one hidden layer learns y = x^2.
source: arXiv:2310.02258
tried: Nothing; these bounds can neither be met nor missed by chance.
trial:
  task: {{kind: square, reach: 2.0}}
  model: {{kind: mlp, width: 8, layers: 1, activation: silu}}
  optimizer: {{kind: adam, lr: {lr}, schedule: cosine}}
  batch_size: 32
  budget: {{steps: {steps}}}
  evaluation: {{points: 3, examples: 100}}
axes:
  - {{kind: values, field: model.width, values: [4, 16]}}
replicates: 3
objective: {{metric: test_loss, mode: min}}
report:
  question: Does the loss fall?
  plots:
    - {{title: Loss by width, x: model.width, y: [test_loss]}}
claims:
  - {{say: it is below a hundred, metric: test_loss, at_most: 100, threshold_from: theory}}
  - say: it is exactly zero
    metric: test_loss
    at_most: 0
    published: 0
    threshold_from: published
    likely: training ends after {steps} steps
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue"
    for name, topic, scale, steps, lr in (
        ("first", "GCD", "cpu", 40, 0.01),
        ("second", "Addition", "cpu", 60, 0.01),
        ("second-paper", "Addition", "paper", 10_000_000, 0.01),
    ):
        file = folder / scale / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SWEEP.format(name=name, topic=topic, steps=steps, lr=lr))
    return folder


@pytest.fixture
def reproduce(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> int:
        return main(["reproduce", *arguments, "--catalogue", "catalogue", "--storage", "st"])

    return command


def keys(storage: Path, name: str) -> list[str]:
    return [trial["key"] for trial in Ledger(storage).sweep(name).trials()]


def test_all_of_cpu_scale_is_trained_once_and_every_claim_stands_in_one_table(
    reproduce, tmp_path, capsys
):
    assert reproduce("--inline", "--out", "book/RESULTS.md") == 0
    said = capsys.readouterr().out
    assert said.index("12 trials") < said.index(
        "6 finished"
    )  # what will run is said before it runs
    for name in ("first", "second"):
        assert all(
            len(Ledger(tmp_path / "st").trial(key).attempts()) == 1
            for key in keys(tmp_path / "st", name)
        )
    text = (tmp_path / "book" / "RESULTS.md").read_text()
    assert text.index("## What was not reproduced") < text.index("## Summary")
    assert text.count("✓") == 2
    assert text.count("✗") == 2
    assert "training ends after 40 steps" in text
    assert re.search(r"second-paper.*?Not run: it would take about .* GPU-hours", text, re.DOTALL)
    pictures = re.findall(r"\]\((docs/results/[a-z-]+\.svg)\)", text)
    assert pictures == ["docs/results/first.svg", "docs/results/second.svg"]
    assert all((tmp_path / "book" / one).read_text().startswith("<?xml") for one in pictures)
    assert (tmp_path / "st/sweeps/first/report/report.html").exists()

    assert reproduce("--inline", "--out", "book/RESULTS.md") == 0  # a second time trains nothing
    assert "nothing is left to train" in capsys.readouterr().out
    assert (tmp_path / "book" / "RESULTS.md").read_text() == text


def test_a_killed_run_goes_on_with_the_same_command_and_trains_nothing_twice(
    catalogue, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = ("reproduce", "--inline", "--catalogue", catalogue, "--storage", tmp_path / "st")
    process = sweeping.start(*arguments)
    try:
        deadline = time.monotonic() + 240
        while len(ended := outcomes(tmp_path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 2 <= len(ended) < 12
    again = sweeping.run(*arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    ledger = Ledger(tmp_path / "st")
    assert all(len(ledger.trial(key).attempts()) == 1 for key in ended)
    assert len(outcomes(tmp_path)) == 12


def outcomes(folder: Path) -> list[str]:
    return [file.parent.name for file in folder.glob("st/trials/*/*/outcome.json")]


def test_a_sweep_that_fails_is_said_and_the_others_go_on(reproduce, catalogue, tmp_path, capsys):
    file = catalogue / "cpu" / "first.yaml"
    file.write_text(file.read_text() + "budget: {trials: 2}\n")  # less than it has
    assert reproduce("--inline") == 1
    said = capsys.readouterr()
    assert "budget.trials: expected at most 2" in said.out
    assert "not every sweep" in said.err.splitlines()[-1]
    text = (tmp_path / "st" / "RESULTS.md").read_text()
    assert "## What is not finished" in text
    assert text.count("✓") == 1  # of the other


def test_only_report_trains_nothing_and_says_what_is_not_there(reproduce, tmp_path, capsys):
    assert reproduce("second", "--inline") == 0
    capsys.readouterr()
    assert reproduce("--only-report") == 0
    text = (tmp_path / "st" / "RESULTS.md").read_text()
    assert len(outcomes(tmp_path)) == 6
    assert "6 claims: 1 reproduced, 1 not reproduced, 4 not run." in text


def test_a_topic_means_its_sweeps_and_a_wrong_name_is_answered_with_near_ones(reproduce, capsys):
    assert reproduce("addition", "--only-report") == 0
    said = capsys.readouterr().out
    assert "second" in said
    assert "first" not in said
    assert reproduce("seconds", "--only-report") == 2
    assert "such as second" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (("--scale", "huge"), "--scale"),
        (("--only-report", "--inline"), "--only-report"),
        (("--scale", "paper", "--inline"), "expected a GPU for second-paper"),
        (("second-paper", "--inline"), "expected a GPU for second-paper"),
        (("--out", "catalogue"), "--out"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    arguments, about, reproduce, tmp_path, capsys
):
    assert reproduce(*arguments) == 2
    assert about in capsys.readouterr().err
    assert not (tmp_path / "st").exists()


@pytest.mark.slow
def test_on_ray_one_session_trains_all_sweeps_and_ctrl_c_ends_it_cleanly(catalogue, tmp_path):
    file = catalogue / "cpu" / "second.yaml"
    file.write_text(file.read_text().replace("steps: 60", "steps: 20_000"))
    arguments = ("reproduce", "--catalogue", catalogue, "--storage", tmp_path / "st")
    process = sweeping.start(*arguments)
    deadline = time.monotonic() + 200
    while len(outcomes(tmp_path)) < 7 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=100) == 130
    again = sweeping.run(*arguments, timeout_s=280)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(outcomes(tmp_path)) == 12
