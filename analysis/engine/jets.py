"""First and second derivatives of a large formula, carried along from its innermost parts outwards.

Differentiating the whole expression at once writes each inner part again and again; here every
function and power of a formula gets a name, and derivatives of names are made of those of the names
inside (the chain rule, in forward mode).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import sympy as sp

NAMED = (sp.Function, sp.Pow, sp.Min, sp.Max)

Expression = Any
"""A sympy expression; sympy's annotations do not say what its functions return."""


@dataclass(frozen=True)
class Jets:
    """`lines` name parts in the order in which they are worked out; the rest is made of these names.

    `second` holds the second derivatives that are not zero, by the places of their variables.
    """

    lines: tuple[tuple[Any, Expression], ...]
    value: Expression
    first: tuple[Expression, ...]
    second: dict[tuple[int, int], Expression]


def jets(formula: Expression, variables: Sequence[Any]) -> Jets:
    """The formula with its derivatives by some variables."""
    made = _Making(tuple(variables))
    for node in sp.postorder_traversal(formula):
        new = isinstance(node, NAMED) and node not in made.named
        if new and node.free_symbols & set(variables):
            made.name(node)
    value = formula.xreplace(made.named)
    first, second = made.derivatives(value, value)
    names = [one for one, _ in made.lines]
    wanted = [value, *(first.get(one, sp.S.Zero) for one in variables), *second.values()]
    shared, shorter = sp.cse(
        [*(line for _, line in made.lines), *wanted], sp.numbered_symbols("q", real=True)
    )
    lines = _in_order([*zip(names, list(shorter)[: len(names)], strict=True), *shared])
    value, *slopes = list(shorter)[len(names) :]
    pairs = [(variables.index(one), variables.index(other)) for one, other in second]
    return Jets(
        lines,
        value,
        tuple(slopes[: len(variables)]),
        dict(zip(pairs, slopes[len(variables) :], strict=True)),
    )


def _in_order(lines: Sequence[tuple[Any, Expression]]) -> tuple[tuple[Any, Expression], ...]:
    """The lines so that each stands after those whose names it uses."""
    uses = {name: line.free_symbols for name, line in lines}
    inside = {name: used & set(uses) for name, used in uses.items()}
    line_of = dict(lines)
    return tuple((name, line_of[name]) for name in TopologicalSorter(inside).static_order())


class _Making:
    """The names given so far, with their derivatives by the variables that they depend on."""

    def __init__(self, variables: tuple[Any, ...]) -> None:
        self.variables = variables
        self.named: dict[Expression, Any] = {}
        self.lines: list[tuple[Any, Expression]] = []
        self.first: dict[Any, dict[Any, Expression]] = {one: {one: sp.S.One} for one in variables}
        self.second: dict[Any, dict[tuple[Any, Any], Expression]] = {one: {} for one in variables}

    def name(self, node: Expression) -> None:
        """Give a function or power a name, and work out its derivatives."""
        inner = node.func(*(one.xreplace(self.named) for one in node.args))
        symbol = sp.Symbol(f"p{len(self.lines)}", real=True)
        self.lines.append((symbol, inner))
        self.named[node] = symbol
        first, second = self.derivatives(inner, symbol)
        self.first[symbol] = {one: self._line(slope) for one, slope in first.items()}
        self.second[symbol] = {pair: self._line(slope) for pair, slope in second.items()}

    def derivatives(
        self, inner: Expression, symbol: Any
    ) -> tuple[dict[Any, Expression], dict[tuple[Any, Any], Expression]]:
        """The derivatives of an expression of names, by the variables."""
        parts = [one for one in inner.free_symbols if one in self.first]
        parts.sort(key=lambda one: one.name)
        # What is worked out already is not worked out again inside its own derivative.
        known = {inner: symbol} if isinstance(inner, NAMED) else {}
        slopes = {one: inner.diff(one) for one in parts}
        first: dict[Any, Expression] = {}
        second: dict[tuple[Any, Any], Expression] = {}
        for part in parts:
            slope = slopes[part].xreplace(known)
            for one, own in self.first[part].items():
                first[one] = first.get(one, sp.S.Zero) + slope * own
            for pair, own in self.second[part].items():
                second[pair] = second.get(pair, sp.S.Zero) + slope * own
            for other in parts:
                # No run lies exactly on the edge of a minimum, where a slope jumps.
                bend = slopes[part].diff(other).replace(sp.DiracDelta, _never).xreplace(known)
                if bend == 0:
                    continue
                for one, own in self.first[part].items():
                    for two, theirs in self.first[other].items():
                        if self.variables.index(one) <= self.variables.index(two):
                            pair = (one, two)
                            second[pair] = second.get(pair, sp.S.Zero) + bend * own * theirs
        return first, {pair: slope for pair, slope in second.items() if slope != 0}

    def _line(self, slope: Expression) -> Expression:
        """A number or a name for a slope."""
        if slope.is_number or slope.is_Symbol:
            return slope
        symbol = sp.Symbol(f"p{len(self.lines)}", real=True)
        self.lines.append((symbol, slope))
        return symbol


def _never(*_: Any) -> Expression:
    return sp.S.Zero
