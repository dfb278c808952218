"""The tasks, encodings, models and positions that there are, and the fields of each, for people."""

import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainers.plugins import kinds, summary
from trainers.schema import InputError, shown


def show_plugins(title: str, folder: ModuleType, base: type[BaseModel], console: Console) -> None:
    """One line for each, and its source."""
    table = Table(title, "what it is, and its source", box=None, pad_edge=False)
    for kind, plugin in kinds(folder, base).items():
        line, source = (escape(text) for text in summary(plugin))
        table.add_row(kind, f"{line}\n[dim]{source}[/]")
    console.print(table)


def show_plugin(
    title: str, folder: ModuleType, base: type[BaseModel], name: str, console: Console
) -> None:
    """All that is said of one, and its fields with the values that they take.

    Raises:
        InputError: there is none of this name.
    """
    known = kinds(folder, base)
    if name not in known:
        raise InputError(f"expected a {title}, one of {', '.join(known)}, got {shown(name)}")
    console.print(inspect.cleandoc(known[name].__doc__ or ""), markup=False, highlight=False)
    schema = known[name].model_json_schema()
    if "$ref" in schema:  # it may hold others of its kind
        schema |= schema["$defs"][schema["$ref"].rpartition("/")[2]]
    table = Table("field", "value", "default", box=None, pad_edge=False)
    for field, about in schema["properties"].items():
        if field == "kind":
            continue
        default = _written(about["default"]) if "default" in about else "[bold]required[/]"
        table.add_row(field, escape(_values(about, schema.get("$defs", {}))), default)
    if table.row_count:
        console.print()
        console.print(table)
    for field, about in schema["properties"].items():
        for text in _nested(about, schema.get("$defs", {})):
            console.print(f"\n[bold]{field}[/]: {escape(text)}", highlight=False)


def _values(about: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """The values that a field takes, from its JSON schema."""
    if "$ref" in about:
        return _values(others[about["$ref"].rpartition("/")[2]], others)
    if "enum" in about:
        return " | ".join(map(_written, about["enum"]))
    if "const" in about:
        return _written(about["const"])
    for several in ("anyOf", "oneOf"):
        if several in about:
            return " | ".join(_values(one, others) for one in about[several])
    match about.get("type"):
        case "object":
            inside = about.get("properties", {})
            for each in about.get("patternProperties", {}).values():
                return f"{{name: {_values(each, others)}, ...}}"
            if "kind" in inside:
                return f"{{kind: {_values(inside['kind'], others)}, ...}}"
            return "{" + ", ".join(f"{n}: {_values(v, others)}" for n, v in inside.items()) + "}"
        case "array":
            parts = about.get("prefixItems")
            if parts is None:
                return f"[{_values(about.get('items', {}), others)}, ...]"
            return "[" + ", ".join(_values(part, others) for part in parts) + "]"
        case "integer" | "number" as kind:
            return f"{kind}{_bounds(about)}"
        case "null":
            return "null"
        case kind:
            return {"boolean": "true | false", "string": "text"}.get(str(kind), "any")


def _bounds(about: Mapping[str, Any]) -> str:
    """` 1..200`, or with the bounds that there are."""
    if "minimum" in about and "maximum" in about:
        return f" {_written(about['minimum'])}..{_written(about['maximum'])}"
    signs = {
        "minimum": "from ",
        "exclusiveMinimum": "above ",
        "maximum": "up to ",
        "exclusiveMaximum": "below ",
    }
    parts = [f"{sign}{_written(about[name])}" for name, sign in signs.items() if name in about]
    return " " + ", ".join(parts) if parts else ""


def _nested(about: Mapping[str, Any], others: Mapping[str, Any]) -> Iterator[str]:
    """What is said of the nested fields that a field may hold, where they have no kind."""
    for one in (about, *about.get("anyOf", ())):
        inside = others.get(one.get("$ref", "").rpartition("/")[2], {})
        if "description" in inside and "kind" not in inside.get("properties", {}):
            yield inside["description"]


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:_}"
    return f"{value:g}" if isinstance(value, float) else str(value)
