"""What `lawsweep gc` frees, as a person reads it and as one JSON document."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from sweeps.inspecting.freeing import Freed


def freed_document(freed: Sequence[Freed], *, keep: str, dry: bool) -> dict[str, Any]:
    """What `gc --json` prints."""
    return {
        "keep": keep,
        "dry_run": dry,
        "freed_bytes": sum(each.size_bytes for each in freed),
        "sweeps": [
            {
                "sweep": each.sweep or None,
                "checkpoints": each.checkpoints,
                "leftovers": each.leftovers,
                "freed_bytes": each.size_bytes,
                "kept": each.kept,
                "without_checkpoint": each.forgotten,
                "left_alone": each.left_alone,
            }
            for each in freed
        ],
    }


def show_freed(freed: Sequence[Freed], console: Console, *, dry: bool) -> None:
    """A line for each sweep that gives room, then all of it, and what can no longer be done."""
    verb = "would free" if dry else "freed"

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    for each in freed:
        if each.left_alone:
            say(f"left alone: {each.left_alone}", "yellow")
        elif each.checkpoints or each.leftovers:
            what = [f"{each.checkpoints:,} checkpoints"] if each.checkpoints else []
            what += [f"{each.leftovers:,} leftovers"] if each.leftovers else []
            name = each.sweep or "trials of no sweep"
            stay = f"{each.kept:,} checkpoints stay"
            say(f"{name}: {verb} {_size(each.size_bytes)} ({', '.join(what)}), {stay}")
    say(f"{verb} {_size(sum(each.size_bytes for each in freed))}")
    forgotten = sum(each.forgotten for each in freed)
    if forgotten:
        can = "could" if dry else "can"
        say(f"lawsweep predict {can} no longer ask {forgotten:,} ended trials: their weights go")


def _size(size_bytes: int) -> str:
    for unit, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {word}"
    return f"{size_bytes} bytes"
