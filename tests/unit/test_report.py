"""Reports: one page, whole, the same bytes again, and nothing in it runs or is loaded."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from analysis.report import write_report
from analysis.study import study
from analysis.trials import as_runs
from tests.sweep_trials import MadeTrial, gcd_sweep, gcd_trials, width_sweep, width_trials

EVIL = "<img src=x onerror=alert(1)> \"' & $x_1$ </pre><script>alert(2)</script>"


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(study(width_sweep(), as_runs(width_trials()), resamples=50), folder)


def _evil_page(folder: Path) -> str:
    report: dict[str, Any] = {
        "question": EVIL,
        "tables": [
            {
                "title": EVIL,
                "rows": ["task.kind"],
                "metrics": ["accuracy"],
                "beside": "oracle_accuracy",
                "lists": ["learned"],
                "note": EVIL,
            }
        ],
        "contrasts": [
            {
                "title": EVIL,
                "field": "data.distinct",
                "base": None,
                "metric": "accuracy",
                "rows": ["task.kind"],
                "note": EVIL,
            }
        ],
        "fits": [
            {
                "name": "width",
                "law": "power",
                "inputs": {"x": "model.width"},
                "metric": "test_loss",
                "split": ["task.kind"],
                "unit": EVIL,
                "note": EVIL,
            }
        ],
    }
    claims = [{"say": EVIL, "metric": "accuracy", "at_least": 0.5, "note": EVIL}]
    sweep = gcd_sweep(about=EVIL, source=EVIL, report=report, claims=claims)
    trials = [
        MadeTrial(
            key=one.key,
            fields={**one.fields, "task.kind": EVIL},
            metrics=one.metrics,
            details={"learned": [EVIL]},
        )
        for one in gcd_trials()
    ]
    lost = MadeTrial(EVIL, {"task.kind": EVIL, "seed": EVIL}, {}, {}, "failed", EVIL)
    found = study(sweep, as_runs([*trials, lost]), resamples=20)
    return write_report(found, folder).read_text()


def test_text_from_files_and_trackers_is_escaped_everywhere(tmp_path: Path):
    text = _evil_page(tmp_path)
    found = _Tags(text)
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert text.count("&lt;img src=x onerror") >= 10


def test_the_page_loads_nothing_and_runs_nothing(page: Path):
    text = page.read_text()
    found = _Tags(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(found.tags)
    sources = [value or "" for name, value in found.attributes if name in ("src", "href")]
    assert sources
    assert all(value.startswith("data:image/svg+xml;base64,") for value in sources)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"@import|url\(", text)


def test_the_same_study_gives_the_same_bytes(tmp_path: Path, page: Path):
    again = write_report(study(width_sweep(), as_runs(width_trials()), resamples=50), tmp_path)
    files = sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file())
    assert [str(file) for file in files] == [
        "figures/fit-width.png",
        "figures/fit-width.svg",
        "figures/table-1.png",
        "figures/table-1.svg",
        "report.html",
        "study.json",
    ]
    for file in files:
        assert (tmp_path / file).read_bytes() == (page.parent / file).read_bytes()
    assert again.name == "report.html"


def test_the_page_shows_verdicts_warnings_backtests_and_diverged_trials(page: Path):
    text = page.read_text()
    for words in (
        "not reproduced",
        "without the largest 4 scales",
        "the loss was not finite at step 120",
        "lawsweep launch width-small.yaml",
        "6 diverged",
    ):
        assert words in text


def test_the_data_file_holds_what_the_page_says(page: Path):
    data = json.loads((page.parent / "study.json").read_text())
    assert [one["verdict"] for one in data["claims"]] == ["reproduced", "not reproduced"]
    assert data["fits"][1]["fit"]["coefficients"]["c"]["value"] == pytest.approx(1.0, abs=0.1)
    assert len(data["omitted"]) == 6


def test_a_sweep_without_a_finished_trial_can_be_reported(tmp_path: Path):
    trials = [MadeTrial(one.key, one.fields, {}, {}, "failed", "killed") for one in gcd_trials()]
    text = write_report(study(gcd_sweep(), as_runs(trials)), tmp_path).read_text()
    assert "0 of 48 trials finished; 48 failed" in text


def test_the_report_imports_neither_torch_nor_ray_nor_mlflow():
    code = "import sys, analysis.report; print({'torch', 'ray', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
