"""Where the sweep files that ship lie: one folder for each scale, and beside them the one to begin with."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

CATALOG = Path(__file__).parent / "catalog"

Scale = Literal["cpu", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)
"""`cpu` trains on a few cores in minutes, `paper` is the published size and needs a GPU."""

TOPICS = (
    "GCD",
    "Repeated examples",
    "Addition",
    "Multiplication",
    "Linear algebra",
    "Width exponent of y = x^2",
    "Superposition",
    "Random-feature dynamics",
    "Corrupted labels",
    "Streaming parity",
    "Group composition",
    "Sorting with hints",
    "State tracking",
    "Permutation ensembles",
    "Learning-rate transfer",
    "Weight decay and batch size",
    "Data mixtures",
    "Emergence",
    "Digit chunks",
)
"""The rows of the catalogue, in its order; several sweeps may share one."""


def catalog(folder: Path = CATALOG) -> tuple[Path, ...]:
    """All sweep files of a catalogue: those of no scale, then those of each scale, by name."""
    alone = tuple(sorted(folder.glob("*.yaml")))
    return (*alone, *(file for scale in SCALES for file in of_scale(scale, folder)))


def of_scale(scale: Scale, folder: Path = CATALOG) -> tuple[Path, ...]:
    """The sweep files of one scale, by name."""
    return tuple(sorted((folder / scale).glob("*.yaml")))


def scale_of(file: Path) -> str:
    """The scale of a file of a catalogue; nothing for the one to begin with."""
    return file.parent.name if file.parent.name in SCALES else ""


def like(name: str, known: Iterable[str]) -> str:
    """The names nearest to one that there is not, in words, and where all of them are listed."""
    near = get_close_matches(name, list(known))
    return f"{', '.join(near) + ' or another' if near else 'one'} that `lawsweep catalog` lists"
