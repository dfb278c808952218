"""Nothing that a stranger can write is run: read from the calls in the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("trainers", "sweeps", "analysis")
    for path in (ROOT / package).rglob("*.py")
)
RUNS_ITS_OWN = (
    "analysis/engine/lean.py"  # what sympy wrote of a formula that was checked sign by sign
)
READS_YAML = "sweeps/document.py"  # strictly: no aliases, no tags, bounded

FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv",
    "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads",
    "marshal.load", "marshal.loads", "shelve.open", "joblib.load", "dill.load", "dill.loads",
    "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package.PackageImporter",
    "runpy.run_path", "runpy.run_module", "code.interact", "tarfile.extractall", "tempfile.mktemp",
    "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "yaml.full_load_all", "yaml.unsafe_load_all",
    "ssl._create_unverified_context", "ray.tune.ExperimentAnalysis",
}  # fmt: skip
ONLY_IN_DOCUMENT = {"yaml.load", "yaml.safe_load", "yaml.safe_load_all"}
FORBIDDEN_IMPORTS = {"cloudpickle", "marshal", "shelve", "joblib", "dill", "telnetlib", "ftplib"}


def wrong_in(tree: ast.AST, module: str) -> Iterator[str]:
    """What a file does that could run what a stranger has written."""
    named: dict[str, str] = {}  # what `from x import y as z` makes of a name
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                named[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                if alias.name.split(".")[0] in FORBIDDEN_IMPORTS:
                    yield f"line {node.lineno}: import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                named[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            if node.module.split(".")[0] in FORBIDDEN_IMPORTS:
                yield f"line {node.lineno}: from {node.module} import"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {what}" for what in _wrong_call(node, named, module))


def _wrong_call(node: ast.Call, named: dict[str, str], module: str) -> Iterator[str]:
    first, dot, rest = ast.unparse(node.func).partition(".")
    called = named.get(first, first) + dot + rest
    options = {word.arg: word.value for word in node.keywords}
    if (
        called in FORBIDDEN_CALLS
        or called.endswith(".Tuner.restore")
        or (called in ONLY_IN_DOCUMENT and module != READS_YAML)
    ):
        yield called
    if called == "torch.load" and not _is(options.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if called in {"numpy.load", "np.load"} and not _is(options.get("allow_pickle", _FALSE), False):
        yield f"{called} with allow_pickle"
    if "shell" in options and not _is(options["shell"], False):
        yield f"{called} with a shell"
    if "verify" in options and _is(options["verify"], False):
        yield f"{called} without looking at certificates"
    if "yaml.UnsafeLoader" in ast.unparse(node) or "yaml.FullLoader" in ast.unparse(node):
        yield f"{called} with a loader that makes objects"


_FALSE = ast.Constant(False)


def _is(value: ast.expr | None, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_runs_what_a_stranger_has_written(module):
    tree = ast.parse((ROOT / module).read_text())
    allowed = ["compile", "exec"] if str(module) == RUNS_ITS_OWN else []
    assert [what.partition(": ")[2] for what in wrong_in(tree, str(module))] == allowed


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(x)",
        "from pickle import load as read\nread(x)",
        "import pickle as p\np.load(x)",
        "import torch\ntorch.load(x)",
        "import torch\ntorch.load(x, weights_only=False)",
        "from torch import load\nload(x)",
        "import torch\ntorch.load(x, weights_only=flag)",
        "eval(x)",
        "exec(x)",
        "import yaml\nyaml.load(x, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.safe_load(x)",
        "import yaml as y\ny.unsafe_load(x)",
        "import os\nos.system(x)",
        "import subprocess\nsubprocess.run(x, shell=True)",
        "import subprocess\nsubprocess.run(x, shell=flag)",
        "import numpy as np\nnp.load(x, allow_pickle=True)",
        "import pandas as pd\npd.read_pickle(x)",
        "import cloudpickle",
        "from ray import tune\ntune.Tuner.restore(x)",
        "import requests\nrequests.get(x, verify=False)",
    ],
)
def test_the_wall_would_stop_what_it_is_there_for(code):
    assert list(wrong_in(ast.parse(code), "some/module.py"))
