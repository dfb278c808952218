"""What became of the catalogue: for each claim of each sweep a row, for each topic how its claims went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analysis.claims.verdict import Verdict
from analysis.study import Study
from analysis.summary import stated
from sweeps.claim import Claim
from sweeps.spec import Sweep

Word = Literal["reproduced", "not reproduced", "not comparable", "unfinished", "not run"]
WORDS: tuple[Word, ...] = (
    "reproduced",
    "not reproduced",
    "not comparable",
    "unfinished",
    "not run",
)


@dataclass(frozen=True)
class SweepResult:
    """What there is of one sweep of the catalogue; `study` is None where none of it was trained.

    `planned` says what a sweep that was not run would take, `cost` what was spent, and `problem` why
    it could not be trained or studied. `commit` is that with which it was launched last.
    """

    sweep: Sweep
    scale: str
    trials: int
    ended: int
    study: Study | None = None
    cost: str = ""
    planned: str = ""
    problem: str = ""
    commit: str = ""
    figure: str = ""  # the path of its first plot, from the folder of the text
    alt: str = ""

    @property
    def is_done(self) -> bool:
        """Whether every trial has ended, so that verdicts count."""
        return self.study is not None and self.ended >= self.trials and not self.problem


@dataclass(frozen=True)
class ClaimRow:
    """One claim and what became of it; `verdict` is None where nothing was trained for it."""

    of: SweepResult
    claim: Claim
    word: Word
    verdict: Verdict | None

    @property
    def words(self) -> str:
        """What became of it, and that it is uncertain where it is."""
        decided = self.word in ("reproduced", "not reproduced")
        return self.verdict.words if decided and self.verdict is not None else self.word

    @property
    def published(self) -> str:
        """The published figure, as it was written down."""
        return "" if self.claim.published is None else stated(self.claim.published)

    @property
    def here(self) -> str:
        """What came out here, without its interval."""
        found = None if self.verdict is None else self.verdict.found
        return "" if found is None or found.value is None else found.here

    @property
    def spread(self) -> str:
        """The interval of what came out here; empty where there is none."""
        found = None if self.verdict is None else self.verdict.found
        return "" if found is None or found.low is None else found.spread

    @property
    def seeds(self) -> str:
        """Of how many different seeds that is, and how many trials where they are more."""
        found = None if self.verdict is None else self.verdict.found
        if found is None or not found.trials:
            return ""
        trials = "" if found.trials == found.seeds else f" ({found.trials:,} trials)"
        return f"{found.seeds}{trials}"


@dataclass(frozen=True)
class Topic:
    """One row of the catalogue: its sweeps, those of CPU scale first."""

    name: str
    sweeps: tuple[SweepResult, ...]

    @property
    def rows(self) -> tuple[ClaimRow, ...]:
        """Every claim of its sweeps."""
        return tuple(row for one in self.sweeps for row in claim_rows(one))

    @property
    def counts(self) -> Mapping[Word, int]:
        """How many claims came out how."""
        counted = Counter[Word](row.word for row in self.rows)
        return {word: counted[word] for word in WORDS}

    @property
    def is_decided(self) -> bool:
        """Whether at least one of its claims ended in a yes or a no."""
        return bool(self.counts["reproduced"] + self.counts["not reproduced"])


@dataclass(frozen=True)
class Made:
    """When, from which code and on what the results were made."""

    date: str
    commit: str  # of the code that wrote them; empty outside a checkout
    dirty: bool
    machines: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    cost: str = ""


@dataclass(frozen=True)
class Results:
    """The catalogue, or a part of it, with what became of it."""

    made: Made
    topics: tuple[Topic, ...]

    @property
    def rows(self) -> tuple[ClaimRow, ...]:
        """Every claim."""
        return tuple(row for topic in self.topics for row in topic.rows)

    def of(self, word: Word) -> tuple[ClaimRow, ...]:
        """The claims that came out so."""
        return tuple(row for row in self.rows if row.word == word)


def claim_rows(found: SweepResult) -> Iterator[ClaimRow]:
    """The claims of one sweep; what trains still, or failed, decides nothing yet."""
    verdicts: Sequence[Verdict | None] = (
        [None] * len(found.sweep.claims) if found.study is None else found.study.verdicts
    )
    for claim, verdict in zip(found.sweep.claims, verdicts, strict=True):
        word: Word
        if found.study is None and not found.ended and not found.problem:
            word = "not run"
        elif verdict is None or not found.is_done:
            word = "unfinished"
        else:
            word = verdict.verdict
        yield ClaimRow(found, claim, word, verdict)


def by_topic(several: Iterable[SweepResult], order: Sequence[str]) -> tuple[Topic, ...]:
    """Sweeps in the order of the topics; those of others, by name, come last."""
    held: dict[str, list[SweepResult]] = {}
    for one in several:
        held.setdefault(one.sweep.topic, []).append(one)
    names = [name for name in order if name in held]
    names += sorted(name for name in held if name not in order)
    scales = ["", "cpu", "paper"]
    return tuple(
        Topic(name, tuple(sorted(held[name], key=lambda one: scales.index(one.scale))))
        for name in names
    )
