"""What the trainers gain over what a user would write, side by side in one process on one thread.

Run `python -m tests.benchmarks.bench_trainers`, with `--json FILE` for a document as well and `--grid`
for all shapes. Both sides of a line take turns, so that a busy machine slows both; a ratio above 1
means that ours is faster. On a CPU all kernels that are used are deterministic: nothing is switched,
and it costs nothing.
"""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch

from tests.benchmarks import bench_answers, bench_data, bench_engine, results_file
from tests.benchmarks.turns import Line, heading, least, shown
from trainers import machine

_FEW, _MANY = 1.0, 2.0  # seconds for each shape of the grid, alone and with `--grid`


def printed(title: str, lines: Iterable[Line]) -> list[Line]:
    """The lines of a section, each as soon as it is there."""
    print(f"\n{title}")
    found: list[Line] = []
    for line in lines:
        print(shown(line), flush=True)
        found.append(line)
    return found


def main() -> None:
    """Print the table, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there as well")
    parser.add_argument(
        "--grid", action="store_true", help="only one trial against one module, twice as long each"
    )
    arguments = parser.parse_args()
    machine.prepare(threads=1)
    print(heading())
    lines: list[Line] = []
    if not arguments.grid:
        lines += printed("examples", bench_data.lines())
        lines += printed("training", bench_engine.lines())
        lines += printed("exact match", bench_answers.lines())
    grid = printed("one trial", bench_engine.grid(_MANY if arguments.grid else _FEW))
    worst = least(grid)
    print(f"\nleast of {len(grid)} shapes: {worst.ratio:.2f}x, {worst.name}")
    print("on a CPU nothing has to be switched for deterministic results: it costs nothing")
    if arguments.json is not None:
        rows = [asdict(line) for line in [*lines, *grid]]
        results_file.write(arguments.json, torch.device("cpu"), {"lines": rows})


if __name__ == "__main__":
    main()
