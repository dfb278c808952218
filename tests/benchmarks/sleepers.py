"""A launch whose workers sleep: `python -m tests.benchmarks.sleepers ADDRESS FOLDER BUNDLES RESULTS`.

Prints the processor seconds of the driver while it hands out so many bundles, each with so many results.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ray import tune

from sweeps.planning.cost import Pack
from sweeps.running import launch
from sweeps.running.where import OnRay
from sweeps.storage.ledger import Ledger


class Sleeper(tune.Trainable):
    """Takes bundles as a worker does, and gives its results without training."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._left = int(Path(new_config["bundle"]).read_text())
        return True

    def step(self) -> dict[str, Any]:
        self._left -= 1
        return {"done": self._left < 0}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing."""


def main(address: str, folder: str, bundles: int, results: int) -> None:
    """Hand them all out."""

    def left(workers: int) -> Iterator[tuple[Pack, ...]]:
        yield from [()] * bundles

    started = time.process_time()
    with (
        mock.patch.object(launch, "PackTrainable", Sleeper),
        mock.patch.object(launch, "write_bundle", lambda file, _: file.write_text(str(results))),
    ):
        launch.hand_out(left, Ledger(Path(folder)), "sleep", OnRay(address, 2, 60.0))
    print(time.process_time() - started)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
