"""Reports: one page, whole, the same bytes again, and nothing in it runs or is loaded."""

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typing_extensions import override

from analysis.finding import Finding
from analysis.fit import fit
from analysis.judgement.backtested import backtested
from analysis.judgement.compare import compare
from analysis.law import find_law
from analysis.reporting.figures.residuals import residual_picture
from analysis.reporting.files import finite, write_page
from analysis.reporting.fit_sections import combination_section
from analysis.reporting.fit_words import combination_words
from analysis.reporting.markdown import escaped
from analysis.reporting.page import Page
from analysis.reporting.report import write_comparison, write_fit_report, write_report
from analysis.reporting.sections import Grid, Section
from analysis.runs import Omitted, Runs
from analysis.study import study
from analysis.trials import as_runs
from tests.sweep_trials import MadeTrial, gcd_sweep, gcd_trials, width_sweep, width_trials

pytestmark = pytest.mark.xdist_group("report")  # they share one page

PUBLISHED = Path(__file__).parent.parent / "data/chinchilla_epoch_245.csv"
EVIL = "<img src=x onerror=alert(1)> \"' & $x_1$ </pre><script>alert(2)</script>"


VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}  # elements of HTML without an end tag


class _Tags(HTMLParser):
    """The elements of a page, and whatever in it is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


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
    assert not [name for name, _ in found.attributes if name == "src" or name.startswith("on")]
    links = [value or "" for name, value in found.attributes if name in ("href", "xlink:href")]
    assert links
    own = {value for name, value in found.attributes if name == "id"}
    for link in links:
        if link.startswith("#"):
            assert link[1:] in own
        elif not link.startswith("data:image/png;base64,"):
            assert (page.parent / link).is_file()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"@import|url\((?!#)", text)


def test_every_element_of_the_page_is_closed_where_it_belongs(page: Path):
    found = _Tags(page.read_text())
    assert not found.wrong
    assert not found.open
    # A block inside of a paragraph would end it.
    assert not re.search(
        r"<p[^>]*>(?:(?!</p>).)*<(?:ul|table|div|figure|pre|h\d)", page.read_text()
    )


def test_text_to_be_copied_is_not_changed(tmp_path: Path):
    code = "accuracy: {at_least: 90 %}  # 5 % of <all>"
    page = Page("t", "", "", "", (), (), (Section("a", "At 5 %.", code=code),))
    text = write_page(page, {}, tmp_path).read_text()
    assert "accuracy: {at_least: 90 %}  # 5 % of &lt;all&gt;" in text
    assert "At 5\N{NO-BREAK SPACE}%." in text


def test_no_two_elements_of_the_page_have_the_same_id(page: Path):
    ids = [value for name, value in _Tags(page.read_text()).attributes if name == "id"]
    assert len(set(ids)) == len(ids)


def test_the_same_study_gives_the_same_bytes(tmp_path: Path):
    # What a law adds to a page is written twice below, for a fit of a bare table.
    one, again = (
        write_report(study(gcd_sweep(), as_runs(gcd_trials())), tmp_path / name) for name in "ab"
    )
    files = [file.relative_to(one.parent) for file in one.parent.rglob("*") if file.is_file()]
    assert len(files) > 3
    for file in files:
        assert (one.parent / file).read_bytes() == (again.parent / file).read_bytes()


def test_a_report_is_a_page_its_data_and_every_figure_twice(page: Path):
    files = {str(file.relative_to(page.parent)) for file in page.parent.rglob("*")}
    assert files >= {
        "figures/fit-width.png",
        "figures/fit-width.svg",
        "figures/fit-width-1-rolling.svg",
        "figures/table-1.png",
        "figures/table-1.svg",
        "report.html",
        "report.md",
        "study.json",
    }
    assert page.name == "report.html"


def test_exponent_interval_and_verdict_stand_before_everything_else(page: Path):
    data = json.loads((page.parent / "study.json").read_text())
    text = page.read_text()
    start = text.index("</h1>")
    opening = re.sub(r"<[^>]+>|\s+", " ", text[start : start + 2_000])
    line = data["fits"][0]["trust"]["line"]
    value, low, high = re.match(r"c = (\S+) \((\S+) to (\S+)\)", line).groups()  # pyright: ignore
    assert f"c = {value}" in opening
    assert f"{low} to {high}" in opening
    assert data["fits"][0]["trust"]["verdict"].capitalize() in opening


def test_markdown_says_what_the_page_says(page: Path):
    text = (page.parent / "report.md").read_text()
    data = json.loads((page.parent / "study.json").read_text())
    for one in data["fits"]:
        assert f"**{one['trust']['line'].split(', because')[0]}**" in text
    for one in data["omitted"]:
        assert one["reason"] in text
    for name in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (page.parent / name).is_file()
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables
    for line in tables:
        assert line.endswith("|")


@pytest.mark.parametrize("text", ["a | b", "<b>", "[x](y)", "`code`", "*x*", "_x_", "$x$", "\\"])
def test_markdown_text_stays_text(text: str):
    for place, sign in enumerate(escaped(text)):
        if sign in "|<>[]`*$":
            assert escaped(text)[place - 1] == "\\"
    assert re.sub(r"\\(.)", r"\1", escaped(text)) == text
    assert escaped("test_loss") == "test_loss"


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
    code = "import sys, analysis.reporting.report; print({'torch', 'ray', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.fixture(scope="module")
def table() -> Runs:
    """Twelve sizes of a law with a floor, and a row that was left out."""
    x = 2.0 ** np.arange(4, 16)
    loss = (1 + 20 * x**-0.6) * np.exp(np.random.default_rng(2).normal(0, 0.002, len(x)))
    rows = [f"row {number}" for number in range(2, 2 + len(x))]
    left_out = Omitted("row 14", f"left out by --where {EVIL}")
    return Runs(pd.DataFrame({"x": x, "loss": loss}, index=rows), (left_out,))


def test_a_fit_of_a_bare_table_has_the_same_page(table: Runs, tmp_path: Path):
    law = find_law("power_floor")
    fitted = fit(law, table, {"x": "x"}, "loss", bootstrap=20)
    tests = backtested(fitted)
    grid = Grid((EVIL,), ((EVIL,),))
    warning = Finding("evil", EVIL)
    more = Section(EVIL, EVIL, grid, findings=(warning,), note=EVIL, code=EVIL)
    names = [EVIL, *table.table.index[1:]]
    page, again = (
        write_fit_report(
            fitted,
            tests.largest,
            (more,),
            folder,
            rolled=tests.rolling,
            source=EVIL,
            unit=EVIL,
            names=names,
            command=EVIL,
        )
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    text = page.read_text()
    found = _Tags(text)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert (found.wrong, found.open) == ([], [])
    for words in (
        "Residuals",
        "Backtests",
        "Scale by scale",
        "Rows left out",
        "row 14",
        "To reproduce",
    ):
        assert words in text
    for file in sorted(page.parent.rglob("*.*")):
        assert file.read_bytes() == (again.parent / file.relative_to(page.parent)).read_bytes()
    data = json.loads((page.parent / "study.json").read_text())
    assert data["fit"]["coefficients"]["c"]["value"] == pytest.approx(0.6, abs=0.03)
    assert data["sections"][0]["answer"] == EVIL
    assert data["rolling"]["error"] == tests.rolling.error


def test_what_is_determined_all_the_same_is_said_where_coefficients_trade_off():
    published = pd.read_csv(PUBLISHED).sort_values("loss").iloc[:240]
    law, inputs = find_law("chinchilla"), {"params": "params", "tokens": "tokens"}
    linked = fit(law, Runs(published), inputs, "loss", bootstrap=200)
    (section,) = combination_section(linked)
    # Besiroglu et al. 2024, converged: a is 0.514, with 0.48 to 0.556 over resamples
    assert "params grow as compute^0.51" in section.answer
    assert section.table is not None
    assert len(section.table.rows) == len(linked.combinations)
    assert "; a = 0.51" in combination_words(linked)
    # Around x = 1 the amplitude is the loss there, whatever the exponent.
    x = np.geomspace(0.1, 10, 30)
    loss = 2 * x**-0.5 * np.exp(np.random.default_rng(1).normal(0, 0.01, 30))
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    free = fit(find_law("power"), runs, {"x": "x"}, "loss", bootstrap=50)
    assert not list(combination_section(free))
    assert not combination_words(free)


def test_a_comparison_puts_the_law_that_made_the_runs_first(table: Runs, tmp_path: Path):
    laws = [find_law("power"), find_law("power_floor")]
    found = compare(laws, table, {"x": "x"}, "loss")
    page = write_comparison(found, (), tmp_path, source="table.csv", command="lawsweep compare")
    text = page.read_text()
    assert "power_floor predicts the" in text
    # The best law has its interval, although a comparison itself resamples nothing.
    assert "no interval" not in text[: text.index("<nav")]
    assert text.index(">power_floor") < text.index(">power<")
    assert (tmp_path / "figures/ranking.svg").is_file()
    assert "script" not in _Tags(text).tags


def test_json_holds_no_number_that_json_lacks():
    data = finite({"a": [math.inf, math.nan, 1.5], 2: np.float64("nan"), "c": np.bool_(True)})
    assert data == {"a": [None, None, 1.5], "2": None, "c": True}


def test_a_table_with_a_row_too_short_is_refused():
    with pytest.raises(ValueError, match="expected 2 cells, got 1"):
        Grid(("a", "b"), (("1",),))


def test_two_figures_of_one_name_are_refused(table: Runs, tmp_path: Path):
    fitted = fit(find_law("power"), table, {"x": "x"}, "loss", bootstrap=0)
    shown = residual_picture("same", fitted)
    page = Page("t", "", "", "", (), (), (Section("a", picture=shown), Section("b", picture=shown)))
    with pytest.raises(ValueError, match="different names"):
        write_page(page, {}, tmp_path)
    assert not list(tmp_path.iterdir())
