"""With what a sweep was run: commit and changes of the checkout, packages, command, and machines.

STORAGE/sweeps/<name>/provenance/     tags.json, packages.txt, dirty.diff

Written when a launch begins to train, so that whoever publishes later, or elsewhere, tells of the
machine that launched and not of its own.
"""

import getpass
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from sweeps.secrets import masked
from sweeps.storage import durable
from sweeps.storage.machine import processor
from sweeps.storage.start import Begun

FOLDER = "provenance"
COMMIT, DIRTY = "mlflow.source.git.commit", "dirty"
_TAGS, _PACKAGES, _DIFF = "tags.json", "packages.txt", "dirty.diff"
_NAMED = ("lawsweep", "torch", "ray", "mlflow", "numpy")
_LARGEST_DIFF = 1_000_000  # characters
_LONGEST_COMMAND = 2_000  # characters


def write_provenance(sweep_folder: Path) -> None:
    """Write down with what this process launches a sweep, over what an earlier launch wrote."""
    folder = sweep_folder / FOLDER
    packages = _packages()
    listed = "".join(f"{name}=={number}\n" for name, number in packages.items())
    diff = _diff()
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "lawsweep",
        "command": masked(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))[:_LONGEST_COMMAND],
        "machine.host": platform.node(),
        "machine.cpu": processor(),
        **_versions(packages),
        "lock.sha256": hashlib.sha256(listed.encode()).hexdigest()[:16],
        **_commit(diff),
    }
    durable.make_folder(folder)
    durable.write_over(folder / _PACKAGES, listed.encode())
    durable.write_over(folder / _DIFF, _shortened(masked(diff or "")).encode())
    durable.write_over(folder / _TAGS, json.dumps(tags, indent=1).encode())


def read_provenance(sweep_folder: Path) -> dict[str, str]:
    """What the last launch wrote down, as tags; empty where none did."""
    try:
        return json.loads((sweep_folder / FOLDER / _TAGS).read_bytes())
    except FileNotFoundError:
        return {}


def code_and_versions() -> dict[str, str]:
    """What `write_provenance` would say now of the code and of the packages that it rests on."""
    return {**_versions(_packages()), **_commit(_diff())}


def files_of_provenance(sweep_folder: Path) -> list[Path]:
    """The files beside the tags that say something: the packages, and the changes if there are any."""
    found = [sweep_folder / FOLDER / name for name in (_PACKAGES, _DIFF)]
    return [file for file in found if file.exists() and file.stat().st_size]


def of_trial(sweep: Mapping[str, str], begun: Begun | None) -> dict[str, str]:
    """The tags of one trial: those of the sweep that MLflow shows in columns, and its own machine."""
    shown = {name: text for name, text in sweep.items() if name.startswith("mlflow.")}
    if begun is None:
        return shown
    own = {
        "trial.device": begun.fingerprint.get("gpu") or begun.processor,
        "trial.host": begun.host,
        "trial.threads": begun.fingerprint.get("threads", ""),
        "trial.torch": begun.fingerprint.get("torch", ""),
        "trial.numerics": begun.fingerprint.get("numerics", ""),
        "trial.code": begun.fingerprint.get("code", ""),
    }
    return {**shown, **{name: text for name, text in own.items() if text}}


def _diff() -> str | None:
    """The changes of files that git tracks: a stray file with a password is not one."""
    return _git("diff", "HEAD")


def _commit(diff: str | None) -> dict[str, str]:
    """The commit of the checkout, and whether it has changes; nothing outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    return {COMMIT: commit.strip(), DIRTY: json.dumps(bool(diff))}


def _versions(packages: Mapping[str, str]) -> dict[str, str]:
    named = {f"version.{name}": packages[name] for name in _NAMED if name in packages}
    return {"version.python": platform.python_version(), **named}


def _git(*words: str) -> str | None:
    """What git says of the checkout that this code lies in; None when it lies in none."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            ["git", *words],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _packages() -> dict[str, str]:
    """Every installed package and its version, by name."""
    found = {each.name.lower(): each.version for each in distributions() if each.name}
    return dict(sorted(found.items()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for this user
        return str(os.getuid())


def _shortened(diff: str) -> str:
    if len(diff) <= _LARGEST_DIFF:
        return diff
    return f"{diff[:_LARGEST_DIFF]}\n... and {len(diff) - _LARGEST_DIFF:,} more characters\n"
