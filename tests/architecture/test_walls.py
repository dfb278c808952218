"""Who may know what: read from the imports of the code itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("trainers", "sweeps", "analysis")
    for path in (ROOT / package).rglob("*.py")
)

KNOWN_TO = {
    "ray": {
        "sweeps/running/cluster.py",
        "sweeps/running/gcs_probe.py",
        "sweeps/running/launch.py",
        "sweeps/running/nodes.py",
        "sweeps/running/ranks.py",
        "sweeps/running/worker.py",
        "sweeps/searching/judge.py",
        "sweeps/searching/judging.py",
        "sweeps/searching/schedulers/asha.py",
        "sweeps/searching/schedulers/median.py",
        "sweeps/searching/schedulers/none.py",
        "sweeps/searching/searchers/optuna.py",
    },
    "mlflow": {
        "sweeps/publishing/connection.py",
        "sweeps/publishing/new_database.py",
        "sweeps/publishing/server.py",
        "sweeps/publishing/tracker.py",
        "sweeps/tracking.py",
    },
    "matplotlib": {"analysis/reporting/figures/canvas.py"},
    "jinja2": {"analysis/reporting/webpage.py"},
}


def imports(module: Path) -> list[tuple[str, bool]]:
    """What a file imports, and whether it does so at its top."""
    tree = ast.parse((ROOT / module).read_text())
    top = {id(node) for node in tree.body}
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", id(node) in top))
    return found


@pytest.mark.parametrize("package", KNOWN_TO)
def test_a_package_is_known_to_the_files_that_own_it_and_to_no_other(package):
    users = {
        str(module)
        for module in MODULES
        for name, _ in imports(module)
        if name.split(".")[0] == package
    }
    assert users == KNOWN_TO[package]


def test_only_commands_import_inside_functions():
    inside = {
        str(module)
        for module in MODULES
        for name, at_top in imports(module)
        if not at_top and not _is_for_types(module, name)
    }
    assert {str(Path(module).parent) for module in inside} <= {
        "analysis/commands",
        "sweeps/commands",
    }


def test_a_package_re_exports_nothing():
    assert [m for m in MODULES if m.name == "__init__.py" and (ROOT / m).read_text()] == []


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("analysis.reporting.report", {"torch", "ray", "mlflow"}),
        ("analysis.fit", {"torch", "ray", "mlflow", "matplotlib"}),
        ("analysis.cli", {"torch", "ray", "mlflow", "matplotlib", "pandas", "scipy"}),
        ("sweeps.planning.plan", {"ray", "mlflow", "pandas"}),
        ("sweeps.running.inline", {"ray", "mlflow", "pandas"}),
        ("sweeps.searching.survey", {"ray", "mlflow", "pandas"}),
        ("sweeps.searching.inline", {"ray", "mlflow", "pandas"}),
        ("sweeps.storage.ledger", {"torch", "ray", "mlflow"}),
        ("sweeps.watching.watch", {"torch", "ray", "mlflow"}),
        ("sweeps.spec", {"torch", "ray", "mlflow"}),
        ("trainers.loop", {"ray", "mlflow", "pandas", "scipy", "matplotlib"}),
    ],
)
def test_importing_a_module_does_not_wait_for_what_it_does_not_need(module, without):
    script = f"import {module}, sys; print(' '.join(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert without & set(ran.stdout.split()) == set()


def _is_for_types(module: Path, name: str) -> bool:
    """Whether an import stands under `if TYPE_CHECKING`."""
    for node in ast.parse((ROOT / module).read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom) and inner.module == name:
                    return True
    return False
