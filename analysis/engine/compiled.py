"""A law's formula as functions on arrays: the prediction and its exact derivatives.

The engine works in variables of its own, in which the data lie around 1: an amplitude is the size
of its term at the geometric mean of the inputs (which removes the ridge between an amplitude and
its exponent), and a coefficient of scale is a logarithm.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from analysis.engine.functions import NUMERIC, bridge, logistic, softplus
from analysis.engine.jets import Expression, jets
from analysis.engine.lean import lean
from analysis.engine.objective import Residual
from analysis.law import Law, Values, input_array, vector
from trainers.schema import InputError, shown

Vectors = Float[np.ndarray, "problem coefficient"]
Array = Float[np.ndarray, "..."]

_CALLS: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "log10": lambda x: sp.log(x) / sp.log(10),
    "sqrt": sp.sqrt,
    "min": sp.Min,
    "max": sp.Max,
    "softplus": softplus,
    "logistic": logistic,
    "bridge": bridge,
    "loggamma": sp.loggamma,
}


@dataclass(frozen=True)
class Compiled:
    """A law in the engine's variables, for log residuals or for plain ones.

    With `logarithmic` the residual is ln model - target; otherwise it is model - target. `linear`
    holds the places of the variables that enter the model linearly, `constants` those of them whose
    term depends on nothing.
    """

    law: Law
    logarithmic: bool
    linear: tuple[int, ...]
    constants: tuple[int, ...]
    _model: Expression
    _natural: tuple[Expression, ...]
    _internal: tuple[Expression, ...]
    _symbols: "Symbols"

    @cached_property
    def model(self) -> Callable[[Vectors, Array, Array], Array]:
        """The model of every problem at every run."""
        run = self._symbols.function([self._model])

        def model(vectors: Vectors, runs: Array, centre: Array) -> Array:
            (value,) = run(_columns(vectors), runs, centre)
            return _spread(value, (len(vectors), runs.shape[1]))

        return model

    @cached_property
    def bases(self) -> Callable[[Vectors, Array, Array], tuple[Array, list[Array]]]:
        """What is left of the model without its linear variables, and the basis of each of these."""
        zeros = {self._symbols.variables[place]: 0 for place in self.linear}
        parts = [self._model.diff(self._symbols.variables[place]) for place in self.linear]
        run = self._symbols.function([self._model.subs(zeros), *parts])

        def bases(vectors: Vectors, runs: Array, centre: Array) -> tuple[Array, list[Array]]:
            shape = (len(vectors), runs.shape[1])
            rest, *each = run(_columns(vectors), runs, centre)
            return _spread(rest, shape), [_spread(one, shape) for one in each]

        return bases

    @cached_property
    def derivatives(self) -> "Derivatives":
        """The model with its first and second derivatives that are not zero."""
        made = jets(self._model, self._symbols.variables)
        return Derivatives(
            len(made.first),
            tuple(made.second),
            self._symbols.function(
                [made.value, *made.first, *made.second.values()], tuple(made.lines)
            ),
        )

    @cached_property
    def natural(self) -> Callable[[Vectors, Array], Vectors]:
        """Coefficients in the units of the law, from the engine's variables."""
        run = self._symbols.function(list(self._natural))
        return lambda vectors, centre: _stacked(run, vectors, centre)

    @cached_property
    def internal(self) -> Callable[[Vectors, Array], Vectors]:
        """The engine's variables, from coefficients in the units of the law."""
        run = self._symbols.function(list(self._internal))
        return lambda vectors, centre: _stacked(run, vectors, centre)


@dataclass(frozen=True)
class Derivatives:
    """A function giving the model, its `size` first derivatives, and its second ones at `pairs`."""

    size: int
    pairs: tuple[tuple[int, int], ...]
    run: Callable[[list[Array], Array, Array], list[Any]]


@dataclass(frozen=True)
class Symbols:
    """The variables of a law, its inputs (logs less their centre, or plain), and their centre."""

    variables: tuple[Any, ...]
    runs: tuple[Any, ...]
    centre: tuple[Any, ...]

    def function(
        self, expressions: Sequence[Expression], lines: tuple[tuple[Any, Expression], ...] = ()
    ) -> Callable[..., list[Any]]:
        """Expressions as one numpy function of (variables, runs, centre).

        `lines` are parts that are worked out before; without them parts are found and shared.
        """
        named: Any = lambda whole: (list(lines), whole)  # noqa: E731 - what sympy calls a cse
        made = sp.lambdify(
            [list(self.variables), list(self.runs), list(self.centre)],
            list(expressions),
            modules=[NUMERIC, "numpy"],
            cse=named if lines else True,
        )
        run = lean(made) if lines else made

        def function(variables: list[Array], runs: Array, centre: Array) -> list[Any]:
            # Far from the optimum powers overflow; the objective is infinite there.
            with np.errstate(all="ignore"):
                return run(variables, list(runs), list(centre))

        return function


@lru_cache(maxsize=256)
def compiled(law: Law, residual: Residual, plain: frozenset[str] = frozenset()) -> Compiled:
    """Derive a law in the engine's variables; coefficients in `plain` are left as they are.

    Raises:
        ValueError: a coefficient without starts does not enter linearly.
    """
    symbols = Symbols(
        tuple(sp.Symbol(f"u_{one.name}", real=True) for one in law.coefficients),
        tuple(sp.Symbol(f"r_{one.name}", real=True) for one in law.inputs),
        tuple(sp.Symbol(f"c_{one.name}", real=True) for one in law.inputs),
    )
    inputs = {
        one.name: sp.exp(centre + run) if one.positive else run
        for one, run, centre in zip(law.inputs, symbols.runs, symbols.centre, strict=True)
    }
    unit = {
        one.name: sp.exp(centre) for one, centre in zip(law.inputs, symbols.centre, strict=True)
    }
    natural: dict[str, Expression] = {}
    for one, variable in zip(law.coefficients, symbols.variables, strict=True):
        size = unit[one.of] if one.of else sp.Integer(1)
        natural[one.name] = size * sp.exp(variable) if one.log else size * variable
    right, logarithmic = _linked(
        law, residual, _expression(law.parsed.right, {**inputs, **natural})
    )
    if right.has(sp.I, sp.zoo, sp.nan, sp.oo, -sp.oo):
        raise InputError(
            "formula: expected finite real numbers, got a division by zero, or a root or logarithm "
            f"that is not real, in {shown(law.formula)}"
        )
    linear = _linear(law, symbols, right, plain)
    at_centre = {
        run: sp.Integer(0) if one.positive else centre
        for one, run, centre in zip(law.inputs, symbols.runs, symbols.centre, strict=True)
    }
    internal = [
        _inverse(one, variable, unit)
        for one, variable in zip(law.coefficients, symbols.variables, strict=True)
    ]
    constants: list[int] = []
    nonlinear = {one for place, one in enumerate(symbols.variables) if place not in linear}
    scaled: dict[Any, Expression] = {}
    back = dict(zip(symbols.variables, internal, strict=True))
    for place in linear:
        variable = symbols.variables[place]
        basis = right.diff(variable)
        if not basis.free_symbols:
            constants.append(place)
        size = basis.subs(at_centre)
        if size.free_symbols & nonlinear and size.is_positive:
            scaled[variable] = variable / size
            natural[law.coefficients[place].name] = variable / size
            internal[place] = variable * size.subs(
                {one: back[one] for one in nonlinear}, simultaneous=True
            )
    model = _tidied(right.subs(scaled, simultaneous=True), symbols, linear)
    return Compiled(
        law,
        logarithmic,
        linear,
        tuple(constants),
        model,
        tuple(natural[one.name] for one in law.coefficients),
        tuple(internal),
        symbols,
    )


def positive_terms(law: Law, residual: Residual, plain: frozenset[str] = frozenset()) -> bool:
    """Whether whatever a linear coefficient multiplies is positive for all inputs, and all is sum."""
    made = compiled(law, residual, plain)
    rest = made._model.subs({made._symbols.variables[place]: 0 for place in made.linear})
    bases = [made._model.diff(made._symbols.variables[place]) for place in made.linear]
    return law.parsed.link == "identity" and rest == 0 and all(one.is_positive for one in bases)


def _tidied(model: Expression, symbols: Symbols, linear: Sequence[int]) -> Expression:
    """The model with exponentials of sums made small: e^(c a) e^(-a (c + r)) becomes e^(-a r)."""
    zeros = {symbols.variables[place]: 0 for place in linear}
    total = _merged(model.subs(zeros))
    for place in linear:
        variable = symbols.variables[place]
        total += variable * _merged(model.diff(variable))
    return total


def _merged(one: Expression) -> Expression:
    joint = sp.powsimp(one, combine="exp")
    return joint.replace(sp.exp, lambda inner: sp.exp(sp.expand(inner)))


def _linked(law: Law, residual: Residual, right: Expression) -> tuple[Expression, bool]:
    """The model whose logarithm (or which itself) is compared with the target."""
    link = law.parsed.link
    if link == "identity":
        return right, residual == "log"
    exponent = right * sp.log(10) if link == "log10" else right
    return (exponent, False) if residual == "log" else (sp.exp(exponent), False)


def _linear(
    law: Law, symbols: Symbols, right: Expression, plain: frozenset[str]
) -> tuple[int, ...]:
    """The variables without starts, all of which must enter linearly, also together."""
    places = [
        place
        for place, one in enumerate(law.coefficients)
        if one.starts is None and one.name not in plain
    ]
    for place in places:
        slope = right.diff(symbols.variables[place])
        for other in places:
            if slope.diff(symbols.variables[other]) != 0:
                raise ValueError(
                    f"{law.name}: {law.coefficients[place].name} does not enter linearly, "
                    "so it needs starts"
                )
    return tuple(places)


def _inverse(one: Any, variable: Expression, unit: Mapping[str, Expression]) -> Expression:
    inner = variable / unit[one.of] if one.of else variable
    return sp.log(inner) if one.log else inner


def _expression(node: ast.expr, names: Mapping[str, Expression]) -> Expression:
    """A checked tree as a sympy expression."""
    match node:
        case ast.Name(id=name):
            return names[name]
        case ast.Constant(value=value):
            return sp.Integer(value) if isinstance(value, int) else sp.Float(value)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_expression(inner, names)
        case ast.UnaryOp(operand=inner):
            return _expression(inner, names)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _CALLS[name](*(_expression(one, names) for one in arguments))
        case ast.BinOp(left=left, op=operation, right=right):
            return _operation(operation, _expression(left, names), _expression(right, names))
        case _:
            raise ValueError(f"expected a checked formula, got {ast.unparse(node)}")


def _operation(operation: ast.operator, left: Expression, right: Expression) -> Expression:
    match operation:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case _:
            return _power(left, right)


def _power(left: Expression, right: Expression) -> Expression:
    if not (left.is_number and right.is_number):
        return left**right
    try:
        # 9^9^9^9 as an exact integer would fill the memory.
        value = math.pow(float(left), float(right))
    except (OverflowError, ValueError, TypeError) as error:
        raise InputError(f"formula: expected finite numbers, got {left}^{right}") from error
    return sp.Float(value)


def predict_many(law: Law, vectors: Vectors, values: Values) -> Float[np.ndarray, "problem run"]:
    """The prediction at every run, for many vectors of coefficients, in the unit of the target."""
    inputs = input_array(law, values)
    run, _ = _plainly(law)
    with np.errstate(all="ignore"):
        value = run(_columns(np.asarray(vectors, dtype=np.float64)), list(inputs))[0]
    return np.broadcast_to(value, (len(vectors), inputs.shape[1])).copy()


def predict(
    law: Law, coefficients: Mapping[str, float], values: Values
) -> Float[np.ndarray, " run"]:
    """The law's prediction at every run, in the unit of the target."""
    return predict_many(law, vector(law, coefficients), values)[0]


def gradient(
    law: Law, coefficients: Mapping[str, float], values: Values
) -> Float[np.ndarray, "run coefficient"]:
    """The derivative of the prediction by each coefficient."""
    return gradient_many(law, vector(law, coefficients), values)[0]


def gradient_many(
    law: Law, vectors: Vectors, values: Values
) -> Float[np.ndarray, "problem run coefficient"]:
    """The derivative of the prediction by each coefficient, for many vectors of coefficients."""
    inputs = input_array(law, values)
    _, run = _plainly(law)
    with np.errstate(all="ignore"):
        parts = run(_columns(np.asarray(vectors, dtype=np.float64)), list(inputs))
    shape = (len(vectors), inputs.shape[1])
    return np.stack([np.broadcast_to(one, shape) for one in parts], axis=-1)


@lru_cache(maxsize=256)
def _plainly(law: Law) -> tuple[Callable[..., list[Any]], Callable[..., list[Any]]]:
    """The prediction, and its gradient, as functions of coefficients and inputs as they are."""
    # Only signs that are certain are told, or sympy would simplify what is not so.
    coefficients = [sp.Symbol(f"k_{one.name}", real=True) for one in law.coefficients]
    inputs = [
        sp.Symbol(f"x_{one.name}", real=True, positive=one.positive or None) for one in law.inputs
    ]
    named = zip((*law.coefficients, *law.inputs), (*coefficients, *inputs), strict=True)
    right = _expression(law.parsed.right, {one.name: symbol for one, symbol in named})
    match law.parsed.link:
        case "log10":
            right = sp.exp(right * sp.log(10))
        case "log":
            right = sp.exp(right)
        case _:
            pass

    def function(expressions: list[Expression]) -> Callable[..., list[Any]]:
        return sp.lambdify(
            [coefficients, inputs], expressions, modules=[NUMERIC, "numpy"], cse=True
        )

    return function([right]), function([right.diff(one) for one in coefficients])


def _spread(value: Any, shape: tuple[int, int]) -> Array:
    """A number or an array as one of floats in that shape."""
    return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)


def _columns(vectors: Vectors) -> list[Array]:
    return [vectors[:, [place]] for place in range(vectors.shape[1])]


def _stacked(run: Callable[..., list[Any]], vectors: Vectors, centre: Array) -> Vectors:
    nothing = np.zeros((len(centre), 1))
    parts = run(_columns(vectors), nothing, centre)
    return np.concatenate([np.broadcast_to(one, (len(vectors), 1)) for one in parts], axis=1)
