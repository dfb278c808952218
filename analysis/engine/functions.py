"""Functions of formulas that neither sympy nor numpy has, with their derivatives."""

from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy import special

Numbers = Float[np.ndarray, "..."] | float


class softplus(sp.Function):  # noqa: N801 - formulas call it by this name
    """ln(1 + e^x)."""

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: D102
        del argindex
        return _at(logistic, self.args[0])


class logistic(sp.Function):  # noqa: N801
    """1 / (1 + e^-x)."""

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: D102
        del argindex
        return _at(logistic, *self.args) * (1 - _at(logistic, *self.args))


class bridge(sp.Function):  # noqa: N801
    """The u between 0 and 1 with ln u - a ln(1 - u) = q; for a = 1 the logistic of q."""

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: D102
        q, a = self.args
        u, rest = _at(bridge, q, a), _at(bridge_rest, q, a)
        slope = u * sp.exp(rest) / (sp.exp(rest) + a * u)
        return slope if argindex == 1 else rest * slope


class bridge_rest(sp.Function):  # noqa: N801
    """ln(1 - bridge(q, a)), exact also where the bridge is nearly 1."""

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: D102
        q, a = self.args
        u, rest = _at(bridge, q, a), _at(bridge_rest, q, a)
        slope = -u / (sp.exp(rest) + a * u)
        return slope if argindex == 1 else rest * slope


def _at(function: Any, *arguments: Any) -> Any:
    """A function of formulas at some arguments; sympy's annotations do not say what that gives."""
    return function(*arguments)


def solve_bridge(q: Numbers, a: Numbers) -> Float[np.ndarray, "..."]:
    """S = -ln(1 - u) of the bridge, by Newton from its left.

    ln(1 - e^-s) + a s rises and is concave in s, so the steps from the left never overshoot.
    """
    q, a = np.broadcast_arrays(np.asarray(q, dtype=np.float64), np.asarray(a, dtype=np.float64))
    with np.errstate(over="ignore", under="ignore"):
        s = np.maximum(q / a, np.exp(q - a * np.exp(np.minimum(q, 700.0))))
    s = np.maximum(s, 1e-300)
    for _ in range(60):
        gap = q - np.log(-np.expm1(-s)) - a * s
        step = gap / (1 / np.expm1(np.minimum(s, 700.0)) + a)
        s = s + np.maximum(step, 0.0)
        if (step <= 1e-15 * s).all():
            break
    return s


NUMERIC = {
    "softplus": lambda x: np.logaddexp(0.0, x),
    "logistic": special.expit,
    "bridge": lambda q, a: -np.expm1(-solve_bridge(q, a)),
    "bridge_rest": lambda q, a: -solve_bridge(q, a),
    # A maximum is smooth but for a kink, where either side's derivative will do.
    "Heaviside": lambda x, *_: np.heaviside(x, 0.5),
    "DiracDelta": lambda x, *_: np.zeros_like(x),
    "loggamma": special.gammaln,
    "polygamma": special.polygamma,
}
"""What compiled formulas call, beside numpy."""
