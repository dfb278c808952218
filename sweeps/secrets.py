"""Secrets stay where they are: masked in every text that is stored or shown, refused in sweep files."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MASK = "***"

_SHORTEST = 8  # a shorter value would be found in texts that have nothing to do with it
_NAMES = re.compile(
    r"token|secret|passw|passphrase|key|credential|^LAWSWEEP_NOTIFY$", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"(?<=://)(?!git@)[^/\s]*@")
_ASSIGNED = re.compile(
    r"((?:token(?!s)|secret|passw(?:or)?d|passphrase|api[_-]?key|credential)[\"']?\s{0,3}[=:]\s{0,3}[\"']?"
    r"|[?&](?:key|sig|signature|auth)=)([^\s\"',;&)}]{8,})",
    re.IGNORECASE,
)
_HOOK = re.compile(r"(--notify[= ]+[\"']?\w+://[^/\s]+/)[^\s\"']+")
_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"  # GitHub, GitLab
    r"|sk-(?=[\w-]*\d)[\w-]{16,}|hf_[A-Za-z0-9]{16,}"  # OpenAI and its like, Hugging Face
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}"  # Amazon, Google
    r"|xox[a-z]-[\w-]{10,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"  # Slack, npm, PyPI
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{4,}"  # a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*-----|.*)"
    r")"
    r"|(?<=hooks\.slack\.com/services/)\S+|(?<=discord\.com/api/webhooks/)\S+"
    r"|(?<=[Bb]earer )[\w.~+/-]{16,}=*",
    re.DOTALL,
)


def masked(text: str) -> str:
    """The text with every secret in it replaced by `***`.

    A secret is the value of an environment variable whose name says so, the user and password of
    an address, what is assigned to a password or a token, and what has the shape of a known token.
    """
    for value in _of_environment():
        text = text.replace(value, MASK)
    text = _HOOK.sub(rf"\1{MASK}", text)
    return _SHAPES.sub(MASK, _ASSIGNED.sub(_masked_value, _IN_ADDRESS.sub(f"{MASK}@", text)))


def secret_place(value: Any) -> tuple[str | int, ...] | None:
    """Where a secret stands in plain data, in a name or in a text; None where there is none."""
    known = [text for text in _of_environment() if _looks_drawn(text)]
    return next(_places(value, known), None)


@contextmanager
def private_files() -> Iterator[None]:
    """While the block runs, what this process and its children create is its user's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _places(value: Any, known: list[str]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        found = any(secret in value for secret in known)
        if found or _SHAPES.search(value) or _IN_ADDRESS.search(value) or _assigns(value):
            yield ()
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            for place in (*_places(str(name), known), *_places(inner, known)):
                yield (str(name), *place)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from ((number, *place) for place in _places(inner, known))


def _assigns(text: str) -> bool:
    return any(_masked_value(match) != match[0] for match in _ASSIGNED.finditer(text))


def _masked_value(match: re.Match[str]) -> str:
    """`token=abc123de` is one; `per token: logarithmic` and `per token: 1.25e-3` are not."""
    return f"{match[1]}{MASK}" if _looks_drawn(match[2]) else match[0]


def _looks_drawn(text: str) -> bool:
    """Whether a text has letters and digits, and is no number: nobody's word."""
    try:
        float(text)
    except ValueError:
        return any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)
    return False


def _of_environment() -> list[str]:
    """The secrets of this process's environment, the longest first."""
    found: set[str] = set()
    for name, value in os.environ.items():
        found.update(
            address.rpartition(":")[2].rstrip("@") for address in _IN_ADDRESS.findall(value)
        )
        if _NAMES.search(name) and not os.path.exists(value):  # the path of a key is no secret
            found.add(value)
    return sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)
