"""The cells of a CSV file from anywhere, as texts by column; what is no table is refused in one line."""

import codecs
import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trainers.schema import InputError, shown

LARGEST = 2_000_000_000  # bytes; beyond it the cells would not fit the memory of most machines
BLOCK = 4_096  # rows that are turned into columns at a time
LISTED = 12  # names of columns in a message

SEPARATORS = ",;\t"
_MARKS = (
    # UTF-32 first: the mark of its little-endian form begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_OTHERS = (
    (b"PK\x03\x04", "a spreadsheet or a zip archive: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: save the sheet as CSV"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"BZh", "a bzip2 archive: unpack it"),
    (b"\xfd7zXZ", "an xz archive: unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it"),
    (b"PAR1", "a Parquet file: write it as CSV"),
    (b"\x93NUMPY", "a numpy file: write it as CSV"),
    (b"SQLite format 3", "a SQLite database: export a table as CSV"),
    (b"%PDF", "a PDF"),
)
_ALIKE = (
    {"params", "n", "n_params", "num_params", "parameters", "model_size", "size", "active_params"},
    {"tokens", "d", "n_tokens", "num_tokens", "train_tokens", "data", "examples", "dataset_size"},
    {"flops", "c", "compute", "train_flops", "training_flops"},
    {"loss", "l", "val_loss", "valid_loss", "validation_loss", "test_loss", "eval_loss", "nll"},
    {"batch", "b", "batch_size", "global_batch_size"},
    {"lr", "learning_rate", "peak_lr", "max_lr"},
)
"""Names that different authors give to one column."""


@dataclass(frozen=True)
class Cells:
    """The rows of a table that are not blank; `rows` are their numbers, the header being row 1.

    `names` are those of the header, in order; `columns` holds only those that occur once.
    """

    path: Path
    names: tuple[str, ...]
    columns: Mapping[str, list[str]]
    rows: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str, wanted: str = "") -> list[str]:
        """The cells of one column; `wanted` is what a law calls it.

        Raises:
            InputError: there is no such column, or there are several.
        """
        if name in self.columns:
            return self.columns[name]
        places = [str(place) for place, one in enumerate(self.names, 1) if one == name]
        if places:
            raise InputError(
                f"{self.path}: expected one column {shown(name)}, got {len(places)} of that name "
                f"(columns {', '.join(places)}); rename all but one"
            )
        raise InputError(_missing(self.path, self.names, name, wanted or name))


def read_cells(path: Path) -> Cells:
    """Read a CSV file: cells apart by commas, semicolons or tabs, in UTF-8, or marked as UTF-16.

    Raises:
        InputError: the file is missing, or no table; the message says where.
    """
    records = _records(path, _text(path))
    at, header = _header(path, records)
    columns: list[list[str]] = [[] for _ in header]
    rows: list[int] = []
    while block := list(islice(records, BLOCK)):
        whole: list[list[str]] = []
        for record in block:
            at += 1
            if len(record) != len(header):
                record = _fitted(path, at, record, len(header))
            if any(record):
                whole.append(record)
                rows.append(at)
        if whole:
            for column, cells in zip(columns, zip(*whole, strict=True), strict=True):
                column.extend(map(str.strip, cells))
    if len(rows) < 2:
        raise InputError(f"{path}: expected at least 2 rows of runs, got {len(rows)}")
    once = set(_once(header))
    kept = {one: cells for one, cells in zip(header, columns, strict=True) if one in once}
    return Cells(path, header, kept, rows)


def headers(path: Path) -> tuple[str, ...]:
    """The names of the columns of a CSV file that occur once.

    Raises:
        InputError: the file is missing, or no table.
    """
    _, names = _header(path, _records(path, _text(path)))
    return _once(names)


def listed(names: Sequence[str]) -> str:
    """Names of columns for a message, the first of very many."""
    words = [name if name.isprintable() and name else shown(name) for name in names[:LISTED]]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(words)}{more}"


def _once(names: Sequence[str]) -> tuple[str, ...]:
    counted = Counter(names)
    return tuple(one for one in names if one and counted[one] == 1)


def _missing(path: Path, names: Sequence[str], name: str, wanted: str) -> str:
    """What to say of a column that there is not: what there is, and which of these may be meant."""
    text = f"{path}: expected a column {shown(name)} for {wanted}, got {listed(names)}"
    if len(names) == 1:
        return f"{text}: are the cells apart by commas, semicolons or tabs?"
    known = [one for one in dict.fromkeys(names) if one]
    folded = {one.casefold(): one for one in reversed(known)}
    alike = next((group for group in _ALIKE if name.casefold() in group), set[str]())
    close = [folded[name.casefold()]] if name.casefold() in folded else []
    close += [one for one in known if one.casefold() in alike]
    close += [
        folded[one] for one in difflib.get_close_matches(name.casefold(), folded, 2, cutoff=0.7)
    ]
    close = list(dict.fromkeys(close))[:3]
    return f"{text}; did you mean {listed(close)}?" if close else text


def _text(path: Path) -> str:
    """The text of a file."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: expected a CSV file, got a folder")
        if not path.is_file():
            raise InputError(f"{path}: expected a CSV file, there is no such file")
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(
                f"{path}: expected a CSV file of at most {LARGEST:,} bytes, got {size:,}; "
                "keep the columns that are needed"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected a CSV file that can be read: {error.strerror}"
        ) from error
    if not raw.strip():
        raise InputError(f"{path}: expected a CSV file with a header, got an empty file")
    for mark, words in _OTHERS:
        if raw.startswith(mark):
            raise InputError(f"{path}: expected a CSV file, got {words}")
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: expected a CSV file in UTF-8, got the byte 0x{raw[error.start]:02x} "
            f"in line {line}; save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{path}: expected a CSV file in UTF-8, got a zero byte in line {line}: "
            "a binary file, or UTF-16 without a mark"
        )
    return text


def _records(path: Path, text: str) -> Iterator[list[str]]:
    """The rows of a file, one by one; the header line tells what separates the cells."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    separator = max(SEPARATORS, key=re.sub(r'"[^"]*"', "", first).count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            words = "quotes around a whole cell, and closed again"
            if "field limit" in str(error):
                words = f"cells of at most {csv.field_size_limit():,} characters"
            raise InputError(
                f"{path}: line {reader.line_num}: expected {words} ({error})"
            ) from error
        yield record


def _header(path: Path, records: Iterator[list[str]]) -> tuple[int, tuple[str, ...]]:
    """The number of the row with the names of the columns, and these."""
    for at, record in enumerate(records, 1):
        names = tuple(one.strip() for one in record)
        if not any(names):
            continue
        if all(map(_is_number, filter(None, names))):
            raise InputError(
                f"{path}: expected a header with the names of the columns in row {at}, "
                f"got numbers: {listed(names)}"
            )
        return at, names
    raise InputError(f"{path}: expected a CSV file with a header, got an empty file")


def _fitted(path: Path, at: int, record: list[str], width: int) -> list[str]:
    """A row of another length than the header: blank, or with empty cells after its end."""
    if not any(record):
        return []
    if len(record) > width and not any(record[width:]):
        return record[:width]
    raise InputError(
        f"{path}: row {at}: expected {width} cells as in the header, got {len(record)}: "
        f"{shown(', '.join(record))}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
