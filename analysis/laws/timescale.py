"""The best timescale of AdamW as a function of tokens per parameter.

The timescale is B / (lr * decay * D), the share of training over which weights are averaged; from it
follows the best weight decay, B / (lr * timescale * D). Published: an exponent of -0.527. c is the
timescale at one token per parameter and m a pure number; batch and D have one unit. The rows are optima
over the weight decay at a learning rate that was tuned as well, from a bowl and not from an edge. With
all runs at one ratio m cannot be told.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="timescale",
    formula="timescale = c * (tokens / params)^m",
    source="Bergsma et al. 2025, arXiv:2505.13738",
    inputs=(
        Input("params", "N, parameters", levels=2),
        Input("tokens", "D, training tokens", levels=2),
    ),
    coefficients=(
        Coefficient("c", "timescale, at one token per parameter", low=0.0),
        Coefficient(
            "m", "exponent of tokens per parameter", low=-3.0, high=3.0, starts=(-2.0, 1.0)
        ),
    ),
)
