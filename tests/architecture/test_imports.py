"""What may know what, and what importing costs."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import trainers

ROOT = Path(trainers.__file__).parents[1]
MODULES = sorted(info.name for info in pkgutil.walk_packages(trainers.__path__, prefix="trainers."))


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    return names


def test_the_contracts_between_the_packages_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module", ["trainers.schema", "trainers.result", "trainers.flops", "trainers.data.shape"]
)
def test_a_module_of_plain_data_needs_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("module", MODULES)
def test_trainers_know_nothing_above_them(module: str) -> None:
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tops = {name.split(".")[0] for name in imported_names(path)}
    assert not tops & {"ray", "mlflow", "sweeps", "analysis"}


def test_training_pulls_in_neither_ray_nor_mlflow() -> None:
    code = (
        "import sys, trainers.loop, trainers.checkpoint, trainers.measure;"
        "sys.exit(bool({'ray', 'mlflow', 'sweeps', 'analysis'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("package", ["trainers", "sweeps", "analysis"])
def test_a_name_has_one_address(package: str) -> None:
    """No `__init__.py` re-exports anything."""
    for path in (ROOT / package).rglob("__init__.py"):
        assert not ast.parse(path.read_text()).body, path


def test_every_folder_with_code_is_a_package_and_every_file_can_be_imported() -> None:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "trainers").rglob("*.py")
        if path.name != "__init__.py"
    }
    packages = {name for name in MODULES if (ROOT / Path(*name.split("."))).is_dir()}
    assert files == set(MODULES) - packages
    for module in MODULES:
        importlib.import_module(module)
