"""What a person sees of a sweep in MLflow: its pages, opened in a real browser by the links we print.

About 50 s on two cores: one small sweep, one server and one browser for all tests.
"""

import json
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from tests.integration import sweeping

sync_api = pytest.importorskip(
    "playwright.sync_api",
    reason="needs playwright: pip install --constraint constraints.txt playwright",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
]

SWEEP = """\
name: small
about: Does a wider network fit a parabola better? It is asked with two learning rates.
trial:
  task: {kind: square}
  model: {kind: mlp, width: 8}
  optimizer: {kind: adam, lr: 1.0e-2, schedule: cosine}
  batch_size: 32
  budget: {steps: 60}
  evaluation: {points: 4, examples: 100}
axes:
  - {kind: values, field: optimizer.lr, values: [3.0e-3, 1.0e-2]}
  - {kind: values, field: model.width, values: [4, 16, 256]}
replicates: 2
objective: {metric: test_loss, mode: min}
report:
  question: Does the loss fall with the width?
  tables: [{title: By width, rows: [model.width], metrics: [test_loss]}]
"""
TRIALS = 12
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
EXPECTED_ERRORS = (
    "/users/current",  # MLflow asks who is logged in, where nobody can
    "/mlflow/assistant/",  # and for its assistant, which our server does not have
    "ResizeObserver loop",  # the page's own, of its charts
)
# MLflow draws its charts a first time before their boxes have a size; what stands there in the end
# is looked at below
EARLY_DRAWING = re.compile(
    r"Error: <\w+> attribute .*(NaN|negative).*/static-files/static/js/", re.S
)


@dataclass
class Seen:
    """A page that was opened, and what went wrong on it."""

    page: "sync_api.Page"
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # addresses outside this machine


@dataclass(frozen=True)
class Served:
    storage: Path
    address: str
    links: dict[str, str]
    server: subprocess.Popen


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    """A launched sweep with its report, and `lawsweep ui` over it."""
    folder = tmp_path_factory.mktemp("browser")
    file, storage = folder / "small.yaml", folder / "storage"
    file.write_text(SWEEP)
    for words in (("launch", str(file), "--inline"), ("report", "small")):
        assert main([*words, "--storage", str(storage)]) == 0
    port = free_port()
    server = subprocess.Popen(
        sweeping.command("ui", "--storage", storage, "--port", str(port)),
        stdout=subprocess.PIPE,
        text=True,
        env={**sweeping.environment(), "PYTHONUNBUFFERED": "1"},
    )
    try:
        links = {}
        assert server.stdout is not None
        for line in server.stdout:  # it ends early when the server cannot start
            if line.startswith("Ctrl-C"):
                break
            if match := re.fullmatch(r"  (\w+)\s+(http\S+)\n", line):
                links[match[1]] = match[2]
        assert set(links) == {"charts", "runs", "sweep", "report"}
        yield Served(storage, f"http://127.0.0.1:{port}", links, server)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 143
    with pytest.raises(urllib.error.URLError):  # the server ends with the command
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def seen(browser) -> Iterator[Seen]:
    """A fresh profile, as that of somebody who opens the link for the first time."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(120_000)  # ms; on a machine that is busy with other tests
    found = Seen(context.new_page())

    def only_here(route: "sync_api.Route") -> None:
        address = route.request.url
        if address.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
            route.continue_()
        else:
            found.foreign.append(address)
            route.abort()

    def note(message: "sync_api.ConsoleMessage") -> None:
        told = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not EARLY_DRAWING.search(told):
            note_error(found, told)

    context.route("**/*", only_here)
    found.page.on("console", note)
    found.page.on("pageerror", lambda error: note_error(found, str(error)))
    yield found
    context.close()
    assert found.foreign == []
    assert found.errors == []


def note_error(found: Seen, told: str) -> None:
    if not any(text in told for text in EXPECTED_ERRORS):
        found.errors.append(told)


def rows_of_the_table(page: "sync_api.Page") -> list[dict[str, str]]:
    """What the cells of every row say, by the column's id."""
    page.wait_for_selector(".ag-center-cols-container .ag-row [col-id='metrics.`test_loss`']")
    return page.evaluate(
        """() => [...document.querySelectorAll('.ag-center-cols-container .ag-row')]
            .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
            .map(row => Object.fromEntries([...row.querySelectorAll('[col-id]')]
                .map(cell => [cell.getAttribute('col-id'), cell.innerText.trim()])))"""
    )


def columns_on_the_screen(page: "sync_api.Page") -> list[str]:
    """The columns of the view from left to right; none may lie beyond the edge."""
    heads = page.evaluate(
        """() => [...document.querySelectorAll('.ag-header-cell[col-id]')]
            .map(head => [head.getBoundingClientRect(), head.getAttribute('col-id')])
            .map(([box, id]) => [box.left, box.right, id])"""
    )
    assert max(right for _, right, _ in heads) <= 1600
    return [id_ for _, _, id_ in sorted(heads) if id_.startswith(("params", "metrics", "tags"))]


def test_the_runs_land_with_the_axes_and_the_objective_of_the_ledger_the_best_first(served, seen):
    seen.page.goto(served.links["runs"])
    rows = rows_of_the_table(seen.page)
    ledger = Ledger(served.storage)
    expected = sorted(
        (
            ledger.trial(trial["key"]).last_metrics()["test_loss"],
            str(trial["point"]["model.width"]),
            str(trial["point"]["optimizer.lr"]),
            str(trial["config"]["seed"]),
        )
        for trial in ledger.sweep("small").trials()
    )
    found = [
        (
            float(row["metrics.`test_loss`"]),
            row["params.`model.width`"],
            row["params.`optimizer.lr`"],
            row["params.`seed`"],
        )
        for row in rows
    ]
    assert found == expected
    assert len(found) == TRIALS
    assert {row["tags.`outcome`"] for row in rows} == {"finished"}
    assert all(row["attributes.`Dataset`"].startswith("square (") for row in rows)
    said = seen.page.inner_text("body")
    assert f"{TRIALS} matching runs" in said
    assert "Does a wider network fit a parabola better?" in said
    assert "small: runs" in said  # the name of the view
    assert "Ask a question" not in said  # of the assistant
    assert columns_on_the_screen(seen.page) == [
        "params.`optimizer.lr`",
        "params.`model.width`",
        "params.`seed`",
        "metrics.`test_loss`",
        "tags.`outcome`",
    ]


def test_the_charts_are_drawn_when_their_link_is_opened(served, seen):
    seen.page.goto(served.links["charts"])
    page = seen.page
    page.wait_for_function(
        """() => document.querySelectorAll('.js-plotly-plot').length >= 4
            && document.querySelectorAll('.scatterlayer .trace').length > 0
            && document.querySelectorAll('canvas').length > 0"""
    )
    with_all_trials = f"""() => [...document.querySelectorAll('.js-plotly-plot')]
        .filter(plot => plot.querySelectorAll('.point').length >= {TRIALS}).length >= 4"""
    page.wait_for_function(with_all_trials)
    said = page.inner_text("body")
    for title in ("log10_params vs. log10_test_loss", "optimizer.lr vs. log10_test_loss"):
        assert title in said
    assert "Parallel Coordinates" in said
    assert "Showing all runs" in said
    assert "No charts" not in said
    painted = """() => [...document.querySelectorAll('canvas')].some(canvas => {
        const ink = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data
        return ink !== undefined && ink.some(value => value > 0)})"""
    page.wait_for_function(painted)  # the parallel coordinates
    drawn_fully = """() => [...document.querySelectorAll('svg *')].every(part =>
        [...part.attributes].every(attribute => !attribute.value.includes('NaN')))"""
    page.wait_for_function(drawn_fully)


def test_the_sweeps_own_run_says_how_it_stands_with_a_table_of_pooled_objectives(served, seen):
    seen.page.goto(served.links["sweep"])
    seen.page.wait_for_selector("text=12 of 12 trials have ended")
    table = seen.page.locator("table").filter(has_text="width 256").first
    cells = table.locator("tr").nth(1).locator("td").all_inner_texts()
    ledger = Ledger(served.storage)
    pooled = [
        ledger.trial(trial["key"]).last_metrics()["test_loss"]
        for trial in ledger.sweep("small").trials()
        if trial["point"] == {"optimizer.lr": 0.003, "model.width": 4}
    ]
    assert len(pooled) == 2
    assert cells[0].strip() == "0.003"
    assert float(cells[1].split("±")[0]) == pytest.approx(sum(pooled) / 2, rel=1e-3)
    half = 12.706 * abs(pooled[0] - pooled[1]) / 2  # Student t with one degree of freedom
    assert float(cells[1].split("±")[1]) == pytest.approx(half, rel=0.05)
    said = seen.page.inner_text("body")
    assert "lock.sha256" in said
    assert "command" in said
    assert "dirty" in said


def test_the_report_is_shown_inline(served, seen):
    seen.page.goto(served.links["report"])
    report = seen.page.frame_locator("iframe").first
    report.locator("text=Does the loss fall with the width?").first.wait_for()
    assert report.locator("table").count() > 0
    assert report.locator("svg, img").count() > 0


def test_the_port_has_no_assistant_that_runs_commands(served):
    for path in ("config", "message", "providers", "sessions/x", "%63onfig"):
        address = f"{served.address}/ajax-api/3.0/mlflow/assistant/{path}"
        for data in (None, json.dumps({}).encode()):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(address, data=data, timeout=10)
            assert refused.value.code == 404


def test_a_port_that_is_in_use_is_refused_in_one_line(served):
    port = served.address.rpartition(":")[2]
    ran = sweeping.run_here("ui", "--storage", served.storage, "--port", port)
    assert ran.returncode == 2
    assert ran.stderr.strip().endswith(f"--port {port}: expected a free port, got one in use")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
