"""A power law that falls to zero.

The simplest law of scale: c is the exponent, a pure number (negative if the target grows), and b the
value at x = 1, in the unit of the target. Use it for errors that vanish, for the best settings of a
sweep, and as the baseline of `power_floor`. If there is a floor, the exponent comes out too small and
forecasts too low: a backtest that is wrong to one side, or residuals that curve, say so.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="power",
    formula="loss = b / x^c",
    source="Kaplan et al. 2020, arXiv:2001.08361, section 1.2",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=2),),
    coefficients=(
        Coefficient("b", "loss at x = 1", low=0.0),
        Coefficient("c", "exponent of x", low=-10.0, high=10.0, starts=(-4.0, 8.0)),
    ),
)
