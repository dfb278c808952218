"""What the tests of security share: secrets that must be found nowhere, and where to look for them."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tests.integration import sweeping

SWEEP = """\
name: canary
about: {about}
trial:
  task: {{kind: gcd, largest: 1000, top_class: 5}}
  encoding: {{kind: digits, base: 10}}
  model: {{kind: transformer, width: 16, heads: 2}}
  batch_size: 16
  budget: {{steps: 10}}
  evaluation: {{points: 2, examples: 20, class_examples: 2}}
axes:
  - {{kind: values, field: task.kind, values: [gcd, leaky]}}
objective: {{metric: accuracy, mode: max}}
"""

# a task of a user whose error holds what it should not
LEAKY = '''\
import os
from typing import Literal

from typing_extensions import override

from trainers.data.draws import TRAIN
from trainers.data.tasks.gcd import Gcd


class Leaky(Gcd):
    """Given (a, b), say too much.

    Source: none.
    """

    kind: Literal["leaky"] = "leaky"

    @override
    def problems(self, draws):
        if draws.domain != TRAIN:
            said = " ".join(os.environ[name] for name in os.environ["CANARIES"].split())
            raise RuntimeError(f"could not sign in with {said}")
        return super().problems(draws)
'''

CANARIES = {
    "AWS_SECRET_ACCESS_KEY": "c4n4ry/aws/Zx81qP0v7mN2",
    "MLFLOW_TRACKING_PASSWORD": "c4n4ry-mlflow-5Tg9Lw3e",
    "HF_TOKEN": "hf_c4n4ryAbCdEfGhIjKlMnOpQrStUv",
    "GITHUB_TOKEN": "ghp_c4n4ryAbCdEfGhIjKlMnOpQrStUvWx",
    "OPENAI_API_KEY": "sk-c4n4ry-AbCdEfGhIjKl0123456789",
    "MY_DATABASE_CREDENTIAL": "c4n4ry database 88aa77bb",
    "A_PASSPHRASE": "c4n4ry'with\"quotes\\and0signs",
}
IN_ADDRESS = "c4n4ry-address-7Yh3Kd"
IN_HOOK = "c4n4ry-hook-2Wq8Rt"


def every_canary() -> list[str]:
    """All that must be found nowhere."""
    return [*CANARIES.values(), IN_ADDRESS, IN_HOOK]


def with_leaky_task(folder: Path) -> dict[str, str]:
    """The environment of a command that knows one more task, as do the workers that it starts."""
    (folder / "tasks").mkdir()
    (folder / "tasks" / "leaky.py").write_text(LEAKY)
    (folder / "path").mkdir()
    (folder / "path" / "sitecustomize.py").write_text(
        f"from trainers.data import tasks\ntasks.__path__.append({str(folder / 'tasks')!r})\n"
    )
    return {
        **sweeping.environment(),
        "PYTHONPATH": str(folder / "path"),
        **CANARIES,
        "CANARIES": " ".join(CANARIES),
    }


def run(
    environment: dict[str, str], *arguments: str | Path, timeout_s: float = 300
) -> subprocess.CompletedProcess[bytes]:
    """Run the installed command with this environment."""
    return subprocess.run(
        sweeping.command(*arguments), capture_output=True, timeout=timeout_s, env=environment
    )


def run_all(environment: dict[str, str], *commands: tuple[int, str | Path]) -> bytes:
    """Run commands one after the other in one process; each must end with its code. What they say."""
    wanted = [code for code, *_ in commands]
    typed = [[str(word) for word in words] for _, *words in commands]
    script = (
        "import json, sys\n"
        "from analysis.cli import main\n"
        "codes = [main(words) for words in json.loads(sys.argv[1])]\n"
        "sys.exit(codes != json.loads(sys.argv[2]) and str(codes))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(typed), json.dumps(wanted)],
        capture_output=True,
        timeout=600,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def leaks(content: bytes) -> list[str]:
    """The canaries in some bytes: as they are, or as JSON, base64 or an address would write them."""
    return [
        canary
        for canary in every_canary()
        if any(
            form in content
            for form in (
                canary.encode(),
                repr(canary)[1:-1].encode(),
                canary.replace("\\", "\\\\").replace('"', '\\"').encode(),
                base64.b64encode(canary.encode()).rstrip(b"=")[:-1],
                quote(canary, safe="").encode(),
            )
        )
    ]


def leaks_under(folder: Path) -> Iterator[str]:
    """Every file below a folder that holds a canary, in its bytes or in its name."""
    for path in folder.rglob("*"):
        found = leaks(str(path.relative_to(folder)).encode())
        if path.is_file() and not path.is_symlink():
            found += leaks(path.read_bytes())
        if found:
            yield f"{path}: {found}"


def open_to_others(folder: Path) -> list[str]:
    """Files and folders, and the folder itself, that others than their owner may read or write."""
    return [
        f"{path}: {path.stat().st_mode & 0o777:o}"
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
