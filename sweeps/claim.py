"""The claims of a sweep file as frozen models: what was published, and the bounds that decide."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from sweeps.axis import FieldPath
from sweeps.names import Finite, MetricName, Name, Positive, Where, Written
from trainers.schema import Frozen

ThresholdFrom = Literal["published", "theory", "calibration", "result"]
"""Where a bound comes from; `result` says that it was chosen after seeing these very results."""
Pool = Literal["mean", "median"]


class AnyClaim(Frozen):
    """What every claim may say.

    `needs` names fields and the least value at which the published figure may be compared at all;
    `likely` is the most likely reason if it is not reproduced, and shown only then.
    """

    # `is` and `from` are words of Python, so their fields have another name than in the file
    model_config = ConfigDict(serialize_by_alias=True)

    say: str = Field(min_length=1, max_length=300)
    where: Where = {}
    needs: dict[FieldPath, float] = {}
    threshold_from: ThresholdFrom | None = None
    likely: str = Field(default="", max_length=500)
    note: str = Field(default="", max_length=1_000)


class BoundedClaim(AnyClaim):
    """A claim of a number that is at least, at most, or between."""

    at_least: Finite | None = None
    at_most: Finite | None = None
    published: Finite | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "BoundedClaim":
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"expected at_least <= at_most, got {self.at_least} > {self.at_most}")
        return self


class MetricClaim(BoundedClaim):
    """A published statement about a metric of some trials, pooled over everything `where` leaves open.

    The mean is meant, and the median of a milestone, unless `pool` says otherwise.
    """

    metric: MetricName
    pool: Pool | None = None


class CountedClaim(BoundedClaim):
    """A claim that may count the trials of which a metric passes a level, or a detail is a text."""

    above: Finite | None = None
    below: Finite | None = None
    is_: Written | None = Field(default=None, alias="is")

    @property
    def levels(self) -> int:
        """How many of above, below and is are given."""
        return sum(one is not None for one in (self.above, self.below, self.is_))


class ShareClaim(CountedClaim):
    """A published statement about the share of trials that passed a level: that left a plateau, say."""

    share: MetricName

    @model_validator(mode="after")
    def _a_share(self) -> "ShareClaim":
        if self.levels != 1:
            raise ValueError(f"expected one of above, below and is, got {self.levels or 'none'}")
        for name, value in (("at_least", self.at_least), ("at_most", self.at_most)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"expected {name} to be a share from 0 to 1, got {value:g}")
        return self


class ChangeClaim(CountedClaim):
    """A published statement about what some fields change: the metric at `to` against that at `from`.

    Trials are paired where all other fields and the replicate are equal. With a level, the shares
    of trials that passed it are compared. The mean of the pairs is meant, and the median of a
    milestone, unless `pool` says otherwise.
    """

    change: MetricName
    from_: Where = Field(alias="from", min_length=1)
    to: Where = Field(min_length=1)
    as_: Literal["difference", "ratio"] = Field(default="difference", alias="as")
    pool: Pool | None = None

    @model_validator(mode="after")
    def _a_change(self) -> "ChangeClaim":
        if self.levels > 1:
            raise ValueError(f"expected at most one of above, below and is, got {self.levels}")
        if self.levels and self.as_ == "ratio":
            raise ValueError("expected as: difference where shares are compared, got ratio")
        if self.levels and self.pool:
            raise ValueError("expected no pool where shares are compared")
        twice = sorted(self.where.keys() & {*self.from_, *self.to})
        if twice:
            raise ValueError(f"expected {twice[0]} in where or in from and to, not in both")
        if self.from_ == self.to:
            raise ValueError("expected from and to to differ")
        if self.as_ == "ratio" and not all(
            one is None or one > 0 for one in (self.at_least, self.at_most)
        ):
            raise ValueError("expected bounds of a ratio to be positive")
        return self


class CoefficientClaim(AnyClaim):
    """A value of a fitted coefficient, and the value that a rival theory gives.

    It is `published`, or else `expected`: by a theory, or from other runs. The interval must contain
    it; with `within`, the estimate must lie that near.
    """

    fit: Name
    coefficient: str = Field(min_length=1, max_length=40)
    published: Finite | None = None
    expected: Finite | None = None
    against: Finite | None = None
    within: Positive | None = None

    @model_validator(mode="after")
    def _one_value(self) -> "CoefficientClaim":
        if (self.published is None) == (self.expected is None):
            raise ValueError("expected one of published and expected")
        return self

    @property
    def value(self) -> float:
        """What the coefficient is claimed to be."""
        value = self.expected if self.published is None else self.published
        assert value is not None  # one of the two is given
        return value


class LawClaim(AnyClaim):
    """A published statement that one law foresees held-out rows better than another.

    Both are the law of a fit or among its rivals, written as they are there.
    """

    fit: Name
    better: str = Field(min_length=1, max_length=2_000)
    than: str = Field(min_length=1, max_length=2_000)
    published: Finite | None = None

    @model_validator(mode="after")
    def _two_laws(self) -> "LawClaim":
        if self.better == self.than:
            raise ValueError(f"expected two different laws, got {self.better} twice")
        return self


def _kind_of_claim(claim: Any) -> str:
    fields = claim if isinstance(claim, dict) else getattr(claim, "__dict__", {})
    kinds = (name for name in ("coefficient", "better", "change", "share") if name in fields)
    return f"<{next(kinds, 'metric')}>"


Claim: TypeAlias = Annotated[
    Annotated[MetricClaim, Tag("<metric>")]
    | Annotated[ShareClaim, Tag("<share>")]
    | Annotated[ChangeClaim, Tag("<change>")]
    | Annotated[CoefficientClaim, Tag("<coefficient>")]
    | Annotated[LawClaim, Tag("<better>")],
    Discriminator(_kind_of_claim),
]
