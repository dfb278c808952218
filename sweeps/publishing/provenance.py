"""With what a sweep was run: versions, commit and processor."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def provenance() -> dict[str, str]:
    """With what the sweep was run: versions, commit and processor."""
    found = {"machine.cpu": _processor(), "version.python": platform.python_version()}
    for package in ("lawsweep", "torch", "ray", "mlflow"):
        try:
            found[f"version.{package}"] = version(package)
        except PackageNotFoundError:  # run from a checkout, or without Ray
            continue
    commit = _commit()
    return found if commit is None else {**found, "mlflow.source.git.commit": commit}


def _commit() -> str | None:
    """The commit of the checkout that this code lies in, if it lies in one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
