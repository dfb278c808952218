"""What a check of a design sees: the runs of one fit, and which column says what about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from analysis.points import Pool, level_of
from analysis.runs import Runs
from sweeps.spec import Sweep

# A column is found by its name: first as a trial of ours has it, then as tables from elsewhere do.
RATE = ("optimizer.lr", "lr", "learning_rate", "peak_lr", "max_lr")
BATCH = ("batch_size", "global_batch_size", "batch", "batch_tokens")
WARMUP = ("optimizer.warmup_steps", "warmup_steps", "lr_warmup_steps", "num_warmup_steps", "warmup")
SCHEDULE = ("optimizer.schedule", "schedule", "lr_schedule", "lr_scheduler", "lr_scheduler_type")
DECAY_STEPS = ("decay_steps", "lr_decay_steps", "lr_decay_iters", "cosine_steps", "schedule_steps")
STEPS = ("budget.steps", "total_steps", "train_steps", "max_steps", "num_steps", "n_steps", "steps")
SEED = ("seed", "random_seed")
SIZE = ("params", "N", "model.width", "n_params", "non_embedding_params", "parameters", "width")
LENGTH = ("tokens", "D", "examples", "budget.examples", "budget.steps", "n_tokens", "train_tokens")
MUP = ("model.parametrisation.kind", "parametrisation", "parametrization", "mup")

UNIQUE = ("data.distinct", "unique_tokens", "unique", "distinct")
DATA = ("dataset", "data_set", "corpus", "train_set")
OFTEN = 4  # times that a value of a setting occurs, at least, on average

SIZES_OF_LAWS = frozenset({"params", "N", "size", "width", "active"})
LENGTHS_OF_LAWS = frozenset({"tokens", "D", "steps", "examples"})


@dataclass(frozen=True)
class Design:
    """The runs of one fit and what it makes of them; `inputs` gives the column of each law input.

    `sweep` is None for a table from elsewhere, whose units and columns nobody vouches for.
    """

    runs: Runs
    inputs: Mapping[str, str]
    target: str
    sweep: Sweep | None = None
    pool: Pool = "none"
    cluster: str | None = None

    def __len__(self) -> int:
        return len(self.runs)

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self.runs.table.columns

    def first(self, names: Sequence[str]) -> str | None:
        """The first of these columns that there is and that is not the target."""
        return next((name for name in names if self.has(name) and name != self.target), None)

    def numbers(self, column: str) -> Float[np.ndarray, " run"]:
        """A column as numbers; NaN where it holds none that is finite."""
        raw = pd.to_numeric(self.runs.table[column], errors="coerce")
        found = np.asarray(raw, dtype=np.float64)
        return np.where(np.isinf(found), np.nan, found)

    def texts(self, column: str) -> list[str]:
        """A column as texts, `64` for 64 and for 64.0 alike."""
        return [plain(value) for value in self.runs.table[column].tolist()]

    def uses(self, column: str) -> bool:
        """Whether a column is an input of the fit, so that the law knows of it."""
        return column in self.inputs.values()

    def varying(self, column: str) -> bool:
        """Whether a column holds more than one value."""
        return len(set(self.texts(column))) > 1

    def size(self) -> str | None:
        """The column with the size of the models, if that is known and positive everywhere."""
        mapped = [c for name, c in self.inputs.items() if name in SIZES_OF_LAWS or c in SIZE]
        return self._positive((*mapped, *SIZE))

    def length(self) -> str | None:
        """The column with how long the runs trained, if that is known and positive everywhere."""
        mapped = [c for name, c in self.inputs.items() if name in LENGTHS_OF_LAWS or c in LENGTH]
        return self._positive((*mapped, *LENGTH))

    def _positive(self, names: Sequence[str]) -> str | None:
        if len(self) == 0:
            return None
        return next(
            (
                name
                for name in names
                if self.has(name) and name != self.target and bool((self.numbers(name) > 0).all())
            ),
            None,
        )

    def steps(self) -> Float[np.ndarray, " run"]:
        """Optimizer steps of every run's whole budget; NaN where they are not known."""
        column = self.first(STEPS)
        steps = np.full(len(self), np.nan) if column is None else self.numbers(column)
        if self.has("budget.examples") and self.has("batch_size"):
            by_examples = np.ceil(self.numbers("budget.examples") / self.numbers("batch_size"))
            steps = np.where(np.isnan(steps), by_examples, steps)
        return steps

    @cached_property
    def settings(self) -> Int[np.ndarray, " run"]:
        """The number of every run's setting: replicates have equal settings and other seeds.

        A trial's settings are its fields. Of a table from elsewhere they are the inputs and every
        column with few distinct values, since a measurement is seldom the same twice.
        """
        inputs = list(self.inputs.values())
        table = self.runs.table
        alone = numbered([table[name] for name in dict.fromkeys(inputs)])
        if not len(alone) or int(np.bincount(alone).max()) == 1:
            return alone
        others = [str(name) for name in self.runs.table.columns if name not in (*inputs, *SEED)]
        if self.sweep is not None:
            chosen = [name for name in others if "." in name or name == BATCH[0]]
        else:
            most = len(self) / OFTEN
            chosen = [
                name
                for name in others
                if name != self.target and table[name].astype(str).nunique() <= most
            ]
        chosen = [name for name in dict.fromkeys([*inputs, *chosen]) if name != self.target]
        return numbered([table[name] for name in chosen])

    def measured(self) -> Bool[np.ndarray, " run"]:
        """Whether a run has a finite target."""
        return np.isfinite(self.numbers(self.target))

    def target_at(self, rows: Bool[np.ndarray, " run"]) -> Float[np.ndarray, " some"]:
        """The target of some runs."""
        return self.numbers(self.target)[rows]


def numbered(columns: Sequence["pd.Series[Any]"]) -> Int[np.ndarray, " run"]:
    """Numbers from 0 for the distinct rows of some columns; numbers to one part in 10^9."""
    together = np.zeros(len(columns[0]) if columns else 0, dtype=np.int64)
    for column in columns:
        level = _levels(column)
        if len(level):  # numbered anew each time, so that products stay below 2^63
            both = together * (int(level.max()) + 1) + level
            together = np.unique(both, return_inverse=True)[1].astype(np.int64)
    return together


def split(
    groups: Int[np.ndarray, " run"], values: Float[np.ndarray, " run"]
) -> list[Float[np.ndarray, " some"]]:
    """The values of each group, in the order of the groups' numbers."""
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(values[order], ends) if len(order) else []


def _levels(values: "pd.Series[Any]") -> Int[np.ndarray, " run"]:
    found = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    if np.isfinite(found).all():
        return level_of(found)
    words = [plain(value) for value in values.tolist()]
    return np.unique(words, return_inverse=True)[1].astype(np.int64)


def plain(value: Any) -> str:
    """A value as the text by which it is compared."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.12g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:.12g}"
    return str(value)


def short(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def spread(values: Float[np.ndarray, " some"]) -> float:
    """The largest of some positive numbers over the smallest."""
    return float(values.max() / values.min())


def listed(words: Sequence[str], most: int = 6) -> str:
    """Words with commas, the first few of them."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"
