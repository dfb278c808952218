"""Speeds on one GPU, in less than nine minutes: `python -m tests.benchmarks.bench_gpu`.

It needs torch, numpy, pydantic and PyYAML, and packages that are Python alone: jaxtyping with
wadler_lindig, and typing_extensions. Where they are not installed, `pip install --no-deps --target
DIR jaxtyping wadler_lindig typing_extensions` on any machine makes a folder that can be copied and
named in PYTHONPATH. One table comes last; a JSON document with device, versions and date is written
to tests/benchmarks/results/, or where `--json` says. A part for which no time is left is skipped, one
that fails is named with its error, and the rest goes on. `--device cpu --quick` runs the same program
in tiny sizes, in less than a minute; what needs CUDA is then named as skipped.
"""

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

_NEEDED = ("torch", "numpy", "pydantic", "yaml", "jaxtyping", "typing_extensions")


def main() -> int:
    """Check what is there, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the document goes")
    parser.add_argument("--minutes", type=float, default=9.0, help="on the clock, all in all")
    arguments = parser.parse_args()
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"expected the packages {', '.join(_NEEDED)}, this Python lacks {', '.join(missing)}:"
            " jaxtyping, wadler_lindig and typing_extensions are Python alone, and what"
            " `pip install --no-deps --target DIR` makes of them can be copied here and named in"
            " PYTHONPATH",
            file=sys.stderr,
        )
        return 2
    # only now, as it needs them
    return import_module("tests.benchmarks.gpu_run").run(
        arguments.device,
        quick=arguments.quick,
        document=arguments.json,
        whole_s=60 * arguments.minutes,
    )


if __name__ == "__main__":
    sys.exit(main())
