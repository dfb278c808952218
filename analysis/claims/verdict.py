"""A verdict on a claim: what was expected, what came out here, and whether the interval agrees."""

from dataclasses import dataclass
from typing import Literal

from sweeps.claim import BoundedClaim, CoefficientClaim, LawClaim, ThresholdFrom

Decision = Literal["reproduced", "not reproduced", "not comparable"]

ORIGINS: dict[ThresholdFrom, str] = {
    "published": "as published",
    "theory": "from theory",
    "calibration": "from other seeds",
    "result": "chosen after seeing these results",
}
"""Where the bound of a claim comes from, in words."""


@dataclass(frozen=True)
class Found:
    """What came out here, as numbers and in words; `basis` names the interval.

    `trials` counts what it rests on, which `of` names: a trial, or a pair of them; `seeds` counts
    the different seeds among them; `lacks` says why there is no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    here: str
    spread: str
    trials: int
    seeds: int
    basis: str
    lacks: str = ""
    of: str = "trial"

    @property
    def counted(self) -> str:
        """How many it rests on, in words: `8 trials`, `16 pairs`."""
        return f"{self.trials:,} {self.of}{'' if self.trials == 1 else 's'}"


NOTHING = Found(None, None, None, "no value", "", 0, 0, "no interval")


@dataclass(frozen=True)
class Verdict:
    """What became of one claim; `expected` is its bound in words, and `found` what came out.

    `sure` is false when the interval leaves the verdict open. `likely` is the most likely reason,
    and empty unless the claim was not reproduced.
    """

    say: str
    verdict: Decision
    reason: str
    expected: str
    published: float | None
    found: Found
    sure: bool
    threshold_from: ThresholdFrom | None
    likely: str
    note: str

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, and what is most likely behind it where it was not reproduced; each a sentence."""
        likely = f"The most likely reason: {self.likely}" if self.likely else ""
        said = (self.reason, likely, self.note)
        return tuple(f"{one.rstrip('.')}." for one in said if one)

    @property
    def words(self) -> str:
        """The decision, and that it is uncertain where it is."""
        unsure = not self.sure and self.verdict != "not comparable"
        return f"{self.verdict}{', uncertain' if unsure else ''}"

    @property
    def origin(self) -> str:
        """Where the bound comes from, in words; empty where the claim does not say."""
        return ORIGINS[self.threshold_from] if self.threshold_from else ""

    @property
    def expected_from(self) -> str:
        """What was expected, and beside it where that comes from."""
        return f"{self.expected} ({self.origin})" if self.origin else self.expected


def decided(
    claim: BoundedClaim | CoefficientClaim | LawClaim,
    expected: str,
    found: Found,
    decision: Decision,
    reason: str,
    *,
    sure: bool = True,
) -> Verdict:
    """The verdict on a claim."""
    return Verdict(
        say=claim.say,
        verdict=decision,
        reason=reason,
        expected=expected,
        published=claim.published,
        found=found,
        sure=sure,
        threshold_from=claim.threshold_from,
        likely=claim.likely if decision == "not reproduced" else "",
        note=claim.note,
    )
