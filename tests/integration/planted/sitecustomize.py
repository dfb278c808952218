"""Plants faults into Ray workers: GCDs up to certain sizes raise, lack memory, or kill their process.

Python imports this file at its start where this folder is on PYTHONPATH. Nothing else is changed, and
only in processes that Ray starts to train.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "trainers.data.tasks.gcd"
RAISES, LACKS_MEMORY, DIES_TWICE = 2001, 2002, 2003


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module as ever, and changes it once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        self.loader = spec.loader
        spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        whole = module.Gcd.problems

        def problems(task: Any, draws: Any) -> Any:
            if task.largest == RAISES:
                raise ZeroDivisionError("no such pair")
            if task.largest == LACKS_MEMORY:
                raise MemoryError
            if task.largest == DIES_TWICE and _deaths() < 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(task, draws)

        module.Gcd.problems = problems


def _deaths() -> int:
    """How often a worker came here before; counted in files, as the process will not remember."""
    folder = Path(os.environ["PLANTED_DEATHS"])
    before = len(list(folder.iterdir()))
    (folder / str(before)).touch()
    return before


if sys.argv and sys.argv[0].endswith("default_worker.py"):
    sys.meta_path.insert(0, Planted())
