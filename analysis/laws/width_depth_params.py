"""Loss as a function of width, depth, parameters and training tokens.

Parameters are nearly a function of width and depth: this needs shapes of many kinds at each size, and
width of a feed-forward layer or heads that vary on their own. Use it as a check of `width_depth`, where
shape and size are to be told apart; E, A, B, C and F are in the unit of the loss, alpha, beta, gamma
and delta are exponents. Nine coefficients on fewer than some hundred runs trade off, and single
exponents then mean nothing: read predictions.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="width_depth_params",
    formula="loss = E + A / width^alpha + B / depth^beta + C / params^gamma + F / tokens^delta",
    source="McLeish et al. 2025, arXiv:2502.06857; depth_width.py of their code",
    inputs=(
        Input("width", "size of the residual stream", levels=3),
        Input("depth", "layers", levels=3),
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that width removes, at width 1", low=0.0),
        Coefficient("B", "loss that depth removes, at depth 1", low=0.0),
        Coefficient("C", "loss that size removes, at N = 1", low=0.0),
        Coefficient("F", "loss that data removes, at D = 1", low=0.0),
        Coefficient("alpha", "width exponent", low=0.01, high=3.0, starts=(0.02, 2.5)),
        Coefficient("beta", "depth exponent", low=0.01, high=3.0, starts=(0.02, 2.5)),
        Coefficient("gamma", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("delta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
)
