"""Formulas as users write them: `loss = E + A / params^alpha`, read without running them."""

import ast
import math
from dataclasses import dataclass
from typing import Literal

from trainers.schema import InputError, shown

Link = Literal["identity", "log", "log10"]

FUNCTIONS = {
    "exp": 1,
    "log": 1,
    "log10": 1,
    "sqrt": 1,
    "min": 2,
    "max": 2,
    "softplus": 1,
    "logistic": 1,
    "bridge": 2,
    "loggamma": 1,
}
"""What a formula may call, with the number of arguments; `log` is the natural logarithm."""

LONGEST, DEEPEST = 2_000, 60  # characters, nested operations
_OPERATIONS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


@dataclass(frozen=True)
class Formula:
    """A formula: `target` is on its left side, inside `link`; `right` is its right side.

    `names` are the coefficients and inputs of the right side, in the order in which they come.
    """

    text: str
    target: str
    link: Link
    right: ast.expr
    names: tuple[str, ...]


def parse(text: str) -> Formula:
    """Read `target = expression`, `log(target) = expression` or `log10(target) = expression`.

    Raises:
        InputError: the text is anything else; the message says where.
    """
    if len(text) > LONGEST:
        raise InputError(f"formula: expected at most {LONGEST} characters, got {len(text)}")
    sides = text.split("=")
    # A number sign would make a comment of what follows it.
    if len(sides) != 2 or "#" in text:
        raise InputError(f"formula: expected `target = expression`, got {shown(text)}")
    link, target = _target(_read(sides[0], text), text)
    right = _read(sides[1], text)
    names: dict[str, None] = {}
    _check(right, names, text, 0)
    if target in names:
        raise InputError(f"formula: expected {target} on the left side only, in {shown(text)}")
    return Formula(" ".join(text.split()), target, link, right, tuple(names))


def substituted(formula: Formula, known: dict[str, float | str]) -> str:
    """The text of the formula with some names replaced by numbers or by other names."""

    class Replaced(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id not in known:
                return node
            value = known[node.id]
            return ast.Name(value) if isinstance(value, str) else _constant(value)

    # `right` is read anew, because a transformer changes the tree that it is given.
    right = Replaced().visit(_read(formula.text.split("=")[1], formula.text))
    left = formula.target if formula.link == "identity" else f"{formula.link}({formula.target})"
    return f"{left} = {ast.unparse(right).replace(' ** ', '^')}"


def _constant(value: float) -> ast.expr:
    number = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), number) if value < 0 else number


def _read(side: str, text: str) -> ast.expr:
    try:
        return ast.parse(side.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            f"formula: expected an expression of + - * / ^ and functions, got {shown(side.strip())} "
            f"in {shown(text)}"
        ) from error


def _target(left: ast.expr, text: str) -> tuple[Link, str]:
    if isinstance(left, ast.Name):
        return "identity", left.id
    match left:
        case ast.Call(func=ast.Name(id="log"), args=[ast.Name(id=name)], keywords=[]):
            return "log", name
        case ast.Call(func=ast.Name(id="log10"), args=[ast.Name(id=name)], keywords=[]):
            return "log10", name
        case _:
            raise InputError(
                f"formula: expected a name, log(name) or log10(name) on the left of {shown(text)}"
            )


def _check(node: ast.expr, names: dict[str, None], text: str, depth: int) -> None:
    """Refuse whatever is not arithmetic; collect the names."""
    if depth > DEEPEST:
        raise InputError(f"formula: expected at most {DEEPEST} nested operations in {shown(text)}")
    match node:
        case ast.Name(id=name) if name not in FUNCTIONS:
            names[name] = None
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not math.isfinite(value):
                raise InputError(f"formula: expected finite numbers in {shown(text)}")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            _check(inner, names, text, depth + 1)
        case ast.BinOp(left=left, op=operation, right=right) if isinstance(operation, _OPERATIONS):
            _check(left, names, text, depth + 1)
            _check(right, names, text, depth + 1)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            if len(arguments) != FUNCTIONS[name]:
                raise InputError(
                    f"formula: expected {FUNCTIONS[name]} argument(s) of {name} in {shown(text)}"
                )
            for one in arguments:
                _check(one, names, text, depth + 1)
        case _:
            raise InputError(
                f"formula: expected names, numbers, + - * / ^ and {', '.join(FUNCTIONS)}, "
                f"got {shown(ast.unparse(node))}"
            )
