"""The benchmark for a GPU's machine: it runs here in small, and with little installed."""

import json
import re
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
import torch

from tests.benchmarks.gpu_goals import goals
from tests.benchmarks.gpu_program import WHOLE, arm_of, part_of
from tests.benchmarks.gpu_watch import Found, Watch

ROOT = Path(__file__).parents[2]
NEEDED = ("torch", "numpy", "pydantic", "PyYAML", "jaxtyping", "typing_extensions")

# what is missing is found by no search, as where it is not installed
BARE = """
import runpy, sys
from importlib.machinery import PathFinder

class Installed:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in {missing}:
            return PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Installed if each is PathFinder else each for each in sys.meta_path]
sys.argv = ["bench_gpu", *{arguments}]
runpy.run_module("tests.benchmarks.bench_gpu", run_name="__main__")
"""


def run_without(missing: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    code = BARE.format(missing=missing, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def installed_with(names: tuple[str, ...]) -> set[str]:
    """The distributions that come with these, in the spelling that does not tell - from _."""
    found: set[str] = set()
    wanted = [*names]
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        found.add(name)
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # of another system
        wanted += [
            match[0]
            for each in requires
            if "extra ==" not in each and (match := re.match(r"[\w.-]+", each))
        ]
    return found


def others() -> set[str]:
    """Modules installed here that a GPU's machine may lack."""
    allowed = installed_with(NEEDED)
    return {
        module
        for module, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & allowed
        and module not in ("tests", "trainers")
    }


@pytest.mark.timeout(300)
def test_a_quick_run_on_a_cpu_needs_little_and_names_what_it_leaves_out(tmp_path: Path):
    missing = others()
    assert {"ray", "mlflow", "pandas", "scipy", "typer", "rich"} <= missing
    file = tmp_path / "figures.json"
    ran = run_without(missing, "--device", "cpu", "--quick", "--json", str(file))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    document = json.loads(file.read_text())
    assert document["torch"] == torch.__version__
    assert document["device"] == "cpu"
    assert document["date"]
    notes = {figure["note"] for figure in document["figures"] if figure["value"] is None}
    assert notes == {"skipped: needs CUDA", "skipped: too long for a quick run"}
    rates = [figure["value"] for figure in document["figures"] if figure["value"] is not None]
    assert len(rates) > 15
    assert min(rates) > 0
    assert {goal["verdict"] for goal in document["goals"]} == {"not judged"}
    assert ran.stdout.rstrip().splitlines()[-1].startswith("best / Int2Int's style")


def test_a_machine_without_jaxtyping_is_told_so_in_one_line():
    ran = run_without({"jaxtyping"}, "--device", "cpu", "--quick")
    assert ran.returncode == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert "lacks jaxtyping" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a CUDA device")
def test_a_machine_without_a_gpu_is_told_what_to_do():
    ran = run_without(set())
    assert ran.returncode == 2
    assert "--device cpu --quick" in ran.stderr


def watch_of(seconds: float) -> Watch:
    return Watch(torch.device("cuda"), time.monotonic() + seconds)


def test_what_fails_or_has_no_time_is_named_and_stops_nothing():
    watch = Watch(torch.device("cpu"), time.monotonic() + 60)

    def fails() -> float:
        raise RuntimeError("no such kernel\nand more")

    assert watch.measure("part", "a", "x", 1, fails) is None
    assert watch.measure("part", "b", "x", 100, lambda: 1.0) is None
    assert watch.measure("part", "c", "x", 1, lambda: 2.0) == 2.0

    def part() -> None:
        fails()

    watch.part("another", part)
    assert [found.note for found in watch.found] == [
        "failed: RuntimeError: no such kernel",
        "skipped: 100 s are not left",
        "",
        "failed: RuntimeError: no such kernel",
    ]


def test_what_takes_too_long_is_stopped():
    watch = Watch(torch.device("cpu"), time.monotonic() + 60)

    def sleeps() -> float:
        time.sleep(30)
        return 1.0

    assert watch.measure("part", "a", "x", 0.2, sleeps) is None
    assert watch.found[0].note.startswith("failed: TimeoutError")


def test_goals_are_judged_from_the_figures_of_the_sizes_that_are_asked_for():
    watch = watch_of(500)
    small, figures = part_of(WHOLE.small), watch.found
    figures.append(Found(small, arm_of(1, "eager"), 100.0, ""))
    figures.append(Found(small, arm_of(1, "graphed"), 300.0, ""))
    figures.append(Found(small, arm_of(16, "graphed"), 1_100.0, ""))
    verdicts = {goal.name.partition(":")[0]: goal for goal in goals(watch, WHOLE)}
    assert verdicts["packs / a lone eager trial"].verdict == "reached"
    assert verdicts["packs / a lone eager trial"].found == pytest.approx(11)
    assert verdicts["packs / a lone graphed trial"].verdict == "MISSED"
    assert verdicts["90 million examples"].verdict == "not measured"
