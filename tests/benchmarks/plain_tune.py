"""The same trials as a user of Ray Tune writes them, without lawsweep around: functions, or reused classes.

Run by `bench_launch` as a process of its own: plain_tune.py ADDRESS function|class CONFIGS.json
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from typing_extensions import override

from trainers.config import trial_config
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.machine import prepare
from trainers.result import Reported


def as_function(config: dict[str, Any]) -> None:
    """One trial; each of its points goes to Tune."""
    prepare()
    for event in train([Start(trial_config(config["trial"]))]):
        if isinstance(event, Reported):
            tune.report(event.point.values)


class AsClass(tune.Trainable):
    """The same in an actor that Tune may use again."""

    @override
    def setup(self, config: dict[str, Any]) -> None:
        prepare()
        self.reset_config(config)

    @override
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._events = train([Start(trial_config(new_config["trial"]))])
        return True

    @override
    def step(self) -> dict[str, Any]:
        for event in self._events:
            if isinstance(event, Reported):
                return {**event.point.values, "done": False}
        return {"done": True}

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing is kept: less work than lawsweep does."""


def main() -> None:
    """Connect, train every trial, and print the seconds that Tune took."""
    address, kind, file = sys.argv[1:]
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # which favours Tune
    configs = json.loads(Path(file).read_text())
    ray.init(address=address, log_to_driver=False)
    began = time.monotonic()
    tuner = tune.Tuner(
        tune.with_resources(as_function if kind == "function" else AsClass, {"cpu": 1}),
        param_space={"trial": tune.grid_search(configs)},
        tune_config=tune.TuneConfig(reuse_actors=kind == "class"),
        run_config=tune.RunConfig(storage_path=str(Path(file).parent), verbose=0),
    )
    results = tuner.fit()
    seconds = time.monotonic() - began
    assert len(results) == len(configs)
    assert results.num_errors == 0
    print(seconds)


if __name__ == "__main__":
    main()
