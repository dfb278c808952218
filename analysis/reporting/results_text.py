"""RESULTS.md: what became of the catalogue, what failed to reproduce first."""

from collections.abc import Iterator, Sequence

from analysis.reporting.answer import answer
from analysis.reporting.markdown import escaped
from analysis.results import WORDS, ClaimRow, Results, SweepResult, Topic, Word, claim_rows

MARKS: dict[Word, str] = {
    "reproduced": "✓",
    "not reproduced": "✗",
    "not comparable": "–",
    "unfinished": "…",
    "not run": "·",
}

_SWEEP = "Sweep"  # before its name, which may be that of its topic too

_MEANING = (
    "**reproduced**: ours lies where the claim allows. **not reproduced**: it lies elsewhere. "
    "**not comparable**: the size of these trials, or their interval, cannot decide. **not run**: the "
    "sweep was not trained here; most of those need a GPU. *Uncertain* is said where the interval of "
    "ours reaches over the bound. Intervals are of 95 %, over seeds."
)


def results_text(found: Results) -> str:
    """The results in GitHub's Markdown; figures lie where each sweep says."""
    return "\n\n".join(block for block in _blocks(found) if block) + "\n"


def verdict_counts(found: Results) -> str:
    """How many claims came out how, in one sentence."""
    counted = [(word, len(found.of(word))) for word in WORDS]
    said = ", ".join(f"{count} {word}" for word, count in counted if count)
    decided = sum(topic.is_decided for topic in found.topics)
    rows = len(found.topics)
    return (
        f"{_number(len(found.rows), 'claim')}: {said}. {decided} of {_number(rows, 'topic')} "
        f"ended in a yes or a no."
    )


def _blocks(found: Results) -> Iterator[str]:
    yield "# Results of the catalogue"
    yield escaped(_made(found))
    yield f"**{escaped(verdict_counts(found))}**"
    yield _MEANING
    yield from _not_reproduced(found.of("not reproduced"))
    yield from _unfinished(found)
    yield from _summary(found.topics)
    for topic in found.topics:
        yield f"## {escaped(topic.name or 'Without a topic')}"
        for one in topic.sweeps:
            yield from _sweep(one)


def _made(found: Results) -> str:
    made = found.made
    changed = " with changes that were not committed" if made.dirty else ""
    code = f"from commit {made.commit[:12]}{changed}" if made.commit else "outside a git checkout"
    machines = f" Trained on {'; '.join(made.machines)}." if made.machines else ""
    versions = ", ".join(f"{name} {number}" for name, number in made.versions.items())
    cost = f" All of it took {made.cost}." if made.cost else ""
    return f"Written on {made.date} {code}, with {versions}.{machines}{cost}"


def _not_reproduced(rows: Sequence[ClaimRow]) -> Iterator[str]:
    yield "## What was not reproduced"
    if not rows:
        yield "Nothing: no claim that could be decided came out otherwise."
        return
    lines: list[str] = []
    for row in rows:
        published = f"published {row.published}, " if row.published else ""
        ours = f"ours {row.here}{f' ({row.spread})' if row.spread else ''}"
        likely = escaped(row.claim.likely.rstrip("."))
        reason = f"Most likely because: {likely}." if likely else "No likely reason is known."
        lines.append(
            f"- **{escaped(row.claim.say)}** ({_link(row.of)}): {published}{escaped(ours)}, "
            f"expected {escaped(row.verdict.expected_from if row.verdict else '')}"
            f"{', uncertain' if row.words != row.word else ''}. {reason}"
        )
    yield "\n".join(lines)


def _unfinished(found: Results) -> Iterator[str]:
    several = [
        one
        for topic in found.topics
        for one in topic.sweeps
        if one.problem or (one.ended and not one.is_done)
    ]
    if several:
        yield "## What is not finished"
        yield "\n".join(f"- {_link(one)}: {escaped(_state(one))}" for one in several)


def _state(one: SweepResult) -> str:
    stands = f"{one.ended:,} of {_number(one.trials, 'trial')} ended"
    return f"{stands}; {one.problem}" if one.problem else f"{stands}; no verdict counts yet"


def _summary(topics: Sequence[Topic]) -> Iterator[str]:
    used: list[Word] = [word for word in WORDS if any(topic.counts[word] for topic in topics)]
    rows = [
        (
            f"[{escaped(topic.name or 'Without a topic')}](#{_anchor(topic.name)})",
            *(str(topic.counts[word] or "") for word in used),
            ", ".join(_link(one) for one in topic.sweeps),
        )
        for topic in topics
    ]
    yield "## Summary"
    yield _table(("topic", *used, "sweeps"), rows, right=range(1, 1 + len(used)))


def _sweep(one: SweepResult) -> Iterator[str]:
    sweep = one.sweep
    yield f"### {_SWEEP} {escaped(sweep.name)}"
    yield f"*{escaped(sweep.report.question or sweep.about)}*"
    if one.study is None:
        left = "" if one.ended or one.problem else "Not run"
        if left and one.planned:
            left = f"{left}: it would take {one.planned}"
        yield escaped(f"{left or _state(one)}.")
    else:
        stands = "" if one.is_done else f"**Not finished**: {escaped(_state(one))}. "
        yield f"{stands}{escaped(answer(one.study)[0])}"
    if one.figure:
        yield f"![{escaped(one.alt)}]({one.figure})"
    yield _claims(one)
    facts = [f"After {sweep.source}"] if sweep.source else []
    facts += [
        f"{_number(one.trials, 'trial')}, {_number(sweep.replicates, 'seed')} of each setting"
    ]
    facts += [one.cost] if one.cost else []
    facts += [f"launched from commit {one.commit[:12]}"] if one.commit else []
    yield escaped("; ".join(facts) + ".")
    if sweep.tried:
        yield f"*What was tried before:* {escaped(sweep.tried)}"


def _claims(one: SweepResult) -> str:
    rows = list(claim_rows(one))
    if not rows:
        return ""
    if one.study is None:
        cells = [(MARKS[row.word], _said(row), row.published, row.word) for row in rows]
        table = _table(("", "claim", "published", "verdict"), cells, right=())
        return f"<details><summary>{_number(len(rows), 'claim')}</summary>\n\n{table}\n\n</details>"
    return _table(
        ("", "claim", "published", "expected (why that)", "ours (95 %)", "seeds", "verdict"),
        [_claim(row) for row in rows],
        right=(),
    )


def _claim(row: ClaimRow) -> tuple[str, ...]:
    verdict = row.verdict
    bold = "**" if row.word == "not reproduced" else ""
    why = ""
    if verdict is not None and row.word == "not comparable":
        why = f"<br><sub>{escaped(verdict.reason)}</sub>"
    spread = f"<br><sub>{escaped(row.spread)}</sub>" if row.spread else ""
    return (
        MARKS[row.word],
        _said(row),
        row.published,
        escaped(verdict.expected_from) if verdict else "",
        f"{escaped(row.here)}{spread}",
        row.seeds,
        f"{bold}{row.words}{bold}{why}",
    )


def _said(row: ClaimRow) -> str:
    note = f"<br><sub>{escaped(row.claim.note)}</sub>" if row.claim.note else ""
    return f"{escaped(row.claim.say)}{note}"


def _link(one: SweepResult) -> str:
    return f"[{escaped(one.sweep.name)}](#{_anchor(f'{_SWEEP} {one.sweep.name}')})"


def _anchor(heading: str) -> str:
    """The address that GitHub gives to a heading."""
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in " -_")
    return kept.replace(" ", "-") or "without-a-topic"


def _table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] | range
) -> str:
    rule = ["---:" if place in right else "---" for place in range(len(headers))]
    lines = [headers, rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"
