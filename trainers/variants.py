"""Many trials that differ in few fields: what they share is validated, hashed and priced once.

A config takes 0.4 ms to validate and 0.1 ms to hash, which is long for a sweep of 10,000. The fields
of `ON_THEIR_OWN` need fit no other field, so a value of them is validated and hashed by itself; all
others are validated together, once for every combination that occurs.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from trainers.config import (
    NUMERICS,
    TrialConfig,
    check_points,
    deciding,
    steps_of,
    trial_config,
)
from trainers.flops import Cost
from trainers.schema import Frozen, InputError, shown

Worked = TypeVar("Worked")
Changes = tuple[tuple[str, Any, type], ...]
"""What changes in one field of a trial: the rest of the path, the value, and the type of that."""

ON_THEIR_OWN = ("batch_size", "budget", "optimizer")
"""Fields that fit no other but one another: reports need as many steps."""

_spelled = json.JSONEncoder(sort_keys=True, allow_nan=False).encode  # as a key spells it
_BEFORE_SEED = sorted(name for name in TrialConfig.model_fields if name < "seed")
_AFTER_SEED = sorted(name for name in TrialConfig.model_fields if name > "seed")


@dataclass(frozen=True)
class _Own:
    """A valid value of a field that stands on its own, and how it is spelled in a key; "" is left out."""

    value: Any
    text: str

    @cached_property
    def dumped(self) -> Any:
        """As plain data."""
        return self.value.model_dump() if isinstance(self.value, BaseModel) else self.value


class _Family:
    """Configs that are equal in all but seed and the fields that stand on their own."""

    def __init__(self, first: TrialConfig) -> None:
        self.first = first
        self.cost = first.cost()
        self.shapes: dict[tuple[str, int], str] = {}
        self.worked: dict[tuple[Any, str, int], Any] = {}
        self.texts = {
            name: _member(name, value)
            for name, value in first.deciding_fields().items()
            if name not in ON_THEIR_OWN and name != "seed"
        }

    @cached_property
    def metrics(self) -> frozenset[str]:
        return self.first.metrics()

    @cached_property
    def curves(self) -> frozenset[str]:
        return self.first.curves()

    @cached_property
    def dumped(self) -> dict[str, Any]:
        return self.first.model_dump()

    @cached_property
    def tokens_of_example(self) -> int:
        return self.first.tokens_of_example()


class Variant:
    """A config but for its seed, known to be valid."""

    def __init__(self, family: _Family, own: dict[str, _Own], seed: int) -> None:
        self._family = family
        self._own = own
        self.seed = seed
        self.steps = steps_of(own["budget"].value, own["batch_size"].value)
        check_points(family.first.evaluation, self.steps)
        self.examples = self.steps * own["batch_size"].value
        self.flops = self.examples * family.cost.flops  # of the whole training

    @property
    def cost(self) -> Cost:
        """As `TrialConfig.cost`."""
        return self._family.cost

    @property
    def metrics(self) -> frozenset[str]:
        """As `TrialConfig.metrics`."""
        return self._family.metrics

    @property
    def curves(self) -> frozenset[str]:
        """As `TrialConfig.curves`."""
        return self._family.curves

    @property
    def tokens(self) -> int:
        """Shown over the whole budget, padding included."""
        return self.examples * self._family.tokens_of_example

    def config(self, seed: int) -> TrialConfig:
        """The config with this seed, as `trial_config` would give it."""
        own = {name: part.value for name, part in self._own.items()}
        return self._family.first.model_copy(update={**own, "seed": seed})

    def dumped(self, seed: int) -> dict[str, Any]:
        """As `TrialConfig.model_dump`; what is inside is shared with other trials."""
        own = {name: part.dumped for name, part in self._own.items()}
        return {**self._family.dumped, **own, "seed": seed}

    @property
    def alike(self) -> tuple[int, str, int]:
        """Equal for variants of this process that have the same fields, metrics and shape."""
        return id(self._family), self._own["optimizer"].value.kind, self._own["batch_size"].value

    @property
    def stacks_with(self) -> str:
        """As `TrialConfig.stacks_with`."""
        shapes = self._family.shapes
        which = (self._own["optimizer"].value.kind, self._own["batch_size"].value)
        if which not in shapes:
            shapes[which] = self.config(self.seed).stacks_with()
        return shapes[which]

    def of_shape(self, work: Callable[[TrialConfig], Worked]) -> Worked:
        """What `work` makes of the config, worked out once for those that are `alike`."""
        known = self._family.worked
        which = (work, self._own["optimizer"].value.kind, self._own["batch_size"].value)
        if which not in known:
            known[which] = work(self.config(self.seed))
        return known[which]

    def keys(self, seeds: range) -> list[str]:
        """As `TrialConfig.key` with each of these seeds."""
        texts = dict(self._family.texts)
        for name, part in self._own.items():
            if part.text:
                texts[name] = part.text
        before = "".join([f"{texts[name]}, " for name in _BEFORE_SEED if name in texts])
        after = ", ".join([texts[name] for name in _AFTER_SEED if name in texts]) + "}]"
        start = hashlib.sha256(f"[{NUMERICS}, {{{before}".encode())
        keys: list[str] = []
        for seed in seeds:
            whole = start.copy()
            whole.update((f'"seed": {seed}, {after}' if seed else after).encode())
            keys.append(whole.hexdigest()[:20])
        return keys


class Variants:
    """The trial of a sweep, and what becomes of it when some fields are changed."""

    def __init__(self, trial: Mapping[str, Any]) -> None:
        """Take plain fields, which need not be a whole trial yet."""
        self._trial = trial
        self._families: dict[tuple[str, ...], _Family] = {}
        self._own: dict[str, dict[str, _Own]] = {name: {} for name in ON_THEIR_OWN}
        self._texts: dict[tuple[str, Changes], tuple[str, Any]] = {}
        self._parts: dict[tuple[str, str], Any] = {}
        self._wrong: dict[tuple[tuple[str, str], ...], str] = {}

    def fields(self, sets: Mapping[str, Any]) -> dict[str, Any]:
        """The plain fields with some changed, by their dotted path.

        Raises:
            InputError: a path leads into something that has no fields; the message begins with it.
        """
        fields: dict[str, Any] = dict(self._trial)
        for name, changes in _by_name(sets).items():
            _, fields[name] = self._part(name, changes)
        return fields

    def part(self, name: str, sets: Mapping[str, Any]) -> Any:
        """One field of the trial with some fields changed, validated by itself if it can be.

        Raises:
            KeyError: there is no such field, or it has no value yet.
        """
        field = TrialConfig.model_fields[name]
        changes = _by_name(sets).get(name, ())
        if name not in self._trial and not changes:
            if field.is_required():
                raise KeyError(name)
            return field.get_default()
        text, plain = self._part(name, changes)
        if (name, text) not in self._parts:
            try:
                holder = _holder(name).model_validate_json(f'{{"{name}": {text}}}')
                self._parts[name, text] = getattr(holder, name)
            except (
                ValidationError
            ):  # it is not whole yet, or never will be, which others say better
                self._parts[name, text] = plain
        return self._parts[name, text]

    def with_fields(self, sets: Mapping[str, Any]) -> Variant:
        """The trial with some fields changed, by their dotted path.

        Raises:
            InputError: that is no trial; the message begins with the dotted path of the field.
        """
        parts = {name: self._part(name, changes) for name, changes in _by_name(sets).items()}
        together = tuple(
            f"{name}={text}" for name, (text, _) in parts.items() if name not in ON_THEIR_OWN
        )
        family = self._families.get(together)
        own: dict[str, _Own] = {}
        if family is not None:
            first = family.first
            for name, known in self._own.items():
                text = parts[name][0] if name in parts else ""
                found = known.get(text) or self._on_its_own(name, text, first)
                if found is None:
                    break
                own[name] = found
        if family is None or len(own) < len(ON_THEIR_OWN):
            config = self._whole(sets, tuple((name, text) for name, (text, _) in parts.items()))
            if family is None:
                family = self._families[together] = _Family(config)
            for name, known in self._own.items():
                value = getattr(config, name)
                own[name] = known[parts[name][0] if name in parts else ""] = _Own(
                    value, _own_text(name, value)
                )
        try:
            return Variant(family, own, family.first.seed)
        except ValueError as error:
            raise InputError(str(error)) from error

    def _whole(self, sets: Mapping[str, Any], parts: tuple[tuple[str, str], ...]) -> TrialConfig:
        """The config, validated as a whole; what is wrong with it is found out once."""
        if parts in self._wrong:
            raise InputError(self._wrong[parts])
        try:
            return trial_config(self.fields(sets))
        except InputError as error:
            self._wrong[parts] = str(error)
            raise

    def _on_its_own(self, name: str, text: str, first: TrialConfig) -> _Own | None:
        """A value that was not met before; None where it is not valid, or the trial has none."""
        if not text:
            return None
        try:
            holder = _holder(name).model_validate_json(f'{{"{name}": {text}}}')
        except ValidationError:
            return None  # said better of the whole trial
        value = getattr(holder, name)
        made = self._own[name][text] = _Own(value, _own_text(name, value))
        return made

    def _part(self, name: str, changes: Changes) -> tuple[str, Any]:
        """One field of the trial with some changes inside, as JSON and as plain data."""
        try:
            return self._texts[name, changes]
        except KeyError:
            self._texts[name, changes] = made = self._changed(name, changes)
            return made
        except TypeError:  # a list, say
            return self._changed(name, changes)

    def _changed(self, name: str, changes: Changes) -> tuple[str, Any]:
        given: dict[str, Any] = {}
        if name in self._trial:
            given[name] = self._trial[name]
        for path, value, _ in changes:
            given = _with(given, (name, *path.split(".")) if path else (name,), value)
        return _json(given[name]), given[name]


_holders: dict[str, type[BaseModel]] = {}


def _holder(name: str) -> type[BaseModel]:
    """A model with one field of a trial, and no more."""
    if name not in _holders:
        field = TrialConfig.model_fields[name]
        made: Callable[..., type[BaseModel]] = create_model
        _holders[name] = made(f"Own_{name}", __base__=Frozen, **{name: (field.annotation, field)})
    return _holders[name]


def _by_name(sets: Mapping[str, Any]) -> dict[str, Changes]:
    """Changes by the field of the trial in which they lie, each with the rest of its path."""
    names: dict[str, Changes] = {}
    for field, value in sets.items():
        name, _, path = field.partition(".")
        change = (path, value, value.__class__)  # 1 is no 1.0
        names[name] = (*names[name], change) if name in names else (change,)
    return names


def _with(fields: dict[str, Any], path: tuple[str, ...], value: Any, at: int = 0) -> dict[str, Any]:
    """A copy of the fields with one changed; `fields` are those at this depth of the path."""
    name = path[at]
    if at == len(path) - 1:
        return {**fields, name: value}
    below = fields.get(name)
    if below is not None and not isinstance(below, dict):
        raise InputError(f"{'.'.join(path)}: lies inside {name}, which is {shown(below)}")
    return {**fields, name: _with(below or {}, path, value, at + 1)}


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"expected texts, numbers, lists and mappings: {error}") from error


def _member(name: str, value: Any) -> str:
    return f'"{name}": {_spelled(value)}'


def _own_text(name: str, value: Any) -> str:
    field = TrialConfig.model_fields[name]
    if not field.is_required() and value == field.default:
        return ""
    return _member(name, deciding(value))
