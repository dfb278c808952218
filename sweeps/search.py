"""The `search:` of a sweep file: the space, who suggests points in it, and who stops trials early."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sweeps.axis import FieldPath
from sweeps.ranges import AnyRange, Seed
from trainers.schema import Frozen

_MANY = 10**9  # places of a space: more need not be counted


class RandomSearcher(Frozen):
    """Points at random: the n-th is a function of the seed and of n alone."""

    kind: Literal["random"] = "random"
    seed: Seed = 0


class OptunaSearcher(Frozen):
    """Points where earlier ones were good: Optuna's tree-structured Parzen estimator, by way of Ray Tune.

    The first `startup` points are random. A suggestion is a function of the seed, of its number and of
    what is known when it is made; with `at_once: 1` a search is therefore the same whenever it is run.

    Source: Bergstra et al. 2011, Algorithms for Hyper-Parameter Optimization.
    """

    kind: Literal["optuna"] = "optuna"
    seed: Seed = 0
    startup: int = Field(default=10, ge=1, le=100_000)


class NoScheduler(Frozen):
    """Every trial trains to its end."""

    kind: Literal["none"] = "none"


class Asha(Frozen):
    """At rungs of its budget a trial is stopped unless it is among the best 1/`reduction` that came there.

    The first rung is at the share `grace` of the budget, each later one `reduction` times as far.

    Source: Li et al. 2018, arXiv:1810.05934.
    """

    kind: Literal["asha"] = "asha"
    grace: float = Field(default=0.1, gt=0, lt=1)
    reduction: float = Field(default=3.0, ge=1.1, le=100)


class Hyperband(Frozen):
    """ASHA in several brackets, each with its first rung `reduction` times later than the one before.

    Trials are spread over the brackets at random, so that some are given more time before they are judged.

    Source: Li et al. 2018, arXiv:1810.05934, section 3.3.
    """

    kind: Literal["hyperband"] = "hyperband"
    grace: float = Field(default=0.05, gt=0, lt=1)
    reduction: float = Field(default=3.0, ge=1.1, le=100)
    brackets: int = Field(default=3, ge=2, le=10)
    seed: Seed = 0

    @model_validator(mode="after")
    def _each_has_a_rung(self) -> "Hyperband":
        most = 1 + int(math.log(1 / self.grace) / math.log(self.reduction) + 1e-9)
        if self.brackets > most:
            raise ValueError(
                f"expected at most {most} brackets between {self.grace:g} of the budget and its end,"
                f" got {self.brackets}"
            )
        return self


class Median(Frozen):
    """A trial is stopped where its best is worse than the median of the others' means up to there.

    It is never stopped before the share `grace` of its budget, nor before `samples` others came as far.

    Source: Golovin et al. 2017, Google Vizier, section 3.2.1.
    """

    kind: Literal["median"] = "median"
    grace: float = Field(default=0.1, gt=0, lt=1)
    samples: int = Field(default=5, ge=1, le=10_000)


class PopulationBased(Frozen):
    """Not to be had: refused in words, since many will ask for it."""

    kind: Literal["pbt"] = "pbt"

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, given: Any) -> Any:
        raise ValueError(
            "expected none, asha, hyperband or median, got pbt: a trial is named by its config and gives"
            " the same bits from it alone, but a population copies weights between trials and changes"
            " settings in mid-training; search over optimizer.schedule, or use asha"
        )


AnySearcher = Annotated[RandomSearcher | OptunaSearcher, Field(discriminator="kind")]
AnyScheduler = Annotated[
    NoScheduler | Asha | Hyperband | Median | PopulationBased, Field(discriminator="kind")
]


class Search(Frozen):
    """Trials that are suggested one after the other instead of planned; `trials` in all.

    Axes beside it make cells, each searched by itself with its share of the trials. `at_once` bounds
    how many train at the same time (null: as many as there are workers): fewer know more when they
    are suggested.
    """

    trials: int = Field(ge=1, le=10_000)
    space: dict[FieldPath, AnyRange] = Field(min_length=1, max_length=50)
    searcher: AnySearcher = RandomSearcher()
    scheduler: AnyScheduler = NoScheduler()
    at_once: int | None = Field(default=None, ge=1, le=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> "Search":
        if "seed" in self.space:
            raise ValueError("expected no range of seeds: the best of them would be luck")
        for one in self.space:
            for other in self.space:
                if other.startswith(f"{one}."):
                    raise ValueError(f"expected {other} or {one} in the space, got both")
        return self

    def words(self) -> str:
        """Who suggests trials and who stops them, as a person says it."""
        by = f"searched by {self.searcher.kind} with seed {self.searcher.seed}"
        stopped = self.scheduler.kind
        return by if stopped == "none" else f"{by}, stopped early by {stopped}"

    def places(self) -> int | None:
        """How many points the space has; None: a continuum, or more than anybody could try."""
        total = 1
        for one in self.space.values():
            places = one.places()
            total = _MANY if places is None else min(_MANY, total * places)
        return None if total >= _MANY else total


def whole_count(search: Search | None, known: int) -> int:
    """How many trials a sweep has in the end, of which so many are known by now."""
    return known if search is None else max(known, search.trials)
