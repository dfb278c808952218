"""A function written by sympy, whose parts are let go as soon as no later line needs them.

Hundreds of arrays held to the end make the system hand out and take back memory at every call, which
took as long as the arithmetic.
"""

import ast
import inspect
from collections.abc import Callable
from typing import Any


def lean(made: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of straight lines, with a `del` after the last use of every part."""
    tree = ast.parse(inspect.getsource(made))
    (function,) = tree.body
    if not isinstance(function, ast.FunctionDef):
        raise ValueError("expected one function")
    last: dict[str, int] = {}
    parts: set[str] = set()
    for place, line in enumerate(function.body):
        for node in ast.walk(line):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                last[node.id] = place
        if isinstance(line, ast.Assign):
            parts |= {one.id for one in line.targets if isinstance(one, ast.Name)}
    body: list[ast.stmt] = []
    for place, line in enumerate(function.body):
        body.append(line)
        done = sorted(part for part in parts if last.get(part) == place)
        if done and not isinstance(line, ast.Return):
            body.append(ast.Delete([ast.Name(part, ast.Del()) for part in done]))
    function.body = body
    names = dict(made.__globals__)
    code = compile(ast.fix_missing_locations(tree), "<lean>", "exec")
    exec(code, names)  # noqa: S102 - what sympy wrote and ran already, with deletions
    return names[function.name]
