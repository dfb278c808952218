"""A YAML document read strictly: no aliases, no duplicate keys, no tags, bounded in size and depth."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trainers.schema import InputError, shown

LARGEST_BYTES = 1_000_000
DEEPEST = 32

Place = tuple[str | int, ...]

_STANDARD = {
    f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null", "str", "seq", "map")
}


class _Resolver(yaml.SafeLoader):
    """YAML 1.2's idea of a scalar: `1e-3` is a number, `on` and `012` and dates are not magic."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in [
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)$", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF|nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("null", r"(?:~|null|Null|NULL|)$", "~nN\0"),
]:
    _Resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Resolver.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"$"), [""])


@dataclass(frozen=True)
class Document:
    """Plain values and the line on which each of them stands."""

    name: str
    value: Any
    lines: dict[Place, int]

    def where(self, place: Place) -> str:
        """`file:line` of a place, or of the nearest thing around it that the file holds."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.name}:{self.lines.get(place, 1)}"


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        InputError: the file is missing, not a file, too large, not UTF-8, or not strict YAML.
    """
    if path.is_dir():
        raise InputError(f"{path}: expected a sweep file, got a folder")
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_BYTES:
            raise InputError(
                f"{path}: expected at most {LARGEST_BYTES:,} bytes, got {size_bytes:,}"
            )
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected UTF-8 text, got byte {error.start} outside it"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(text, name=path.name)


def parse(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in messages.

    Raises:
        InputError: the text is not strict YAML.
    """
    lines: dict[Place, int] = {}
    try:
        _refuse_aliases(text, name)
        loader = _Resolver(text)
        try:
            root = loader.get_single_node()
            value = None if root is None else _build(loader, root, (), lines, name)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{name}:{line}: not valid YAML: {problem}") from error
    return Document(name=name, value=value, lines=lines)


def _refuse_aliases(text: str, name: str) -> None:
    """Stop at the first alias, before anything that it repeats is built; bound the depth likewise."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{name}:{line}: expected plain YAML, got the alias *{event.anchor}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise InputError(f"{name}:{line}: expected at most {DEEPEST} levels of nesting")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _build(
    loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: dict[Place, int], name: str
) -> Any:
    line = node.start_mark.line + 1
    lines[place] = line
    if node.tag not in _STANDARD:
        raise InputError(f"{name}:{line}: expected plain YAML, got the tag {node.tag}")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(f"{name}:{key_line}: expected a plain name before the colon")
            key = str(key_node.value)
            if key in built:
                raise InputError(f"{name}:{key_line}: the key {key!r} stands twice")
            built[key] = _build(loader, value_node, (*place, key), lines, name)
            lines[(*place, key)] = key_line
        return built
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(loader, child, (*place, number), lines, name)
            for number, child in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node)
    except ValueError as error:
        came = shown(str(node.value))
        raise InputError(
            f"{name}:{line}: expected a number that can be read, got {came}"
        ) from error
