"""The best learning rate as a function of model size and of tokens.

The rows are the optima of a sweep, one per size and number of tokens. Published: 1.79 N^-0.713 D^0.307.
c is the rate at N = D = 1, far outside of any sweep, alpha and beta are pure numbers. Take optima from
a bowl in ln lr, not the best run of a coarse grid, and none from an edge of the grid. With tokens in
proportion to size only beta - alpha can be told; and the law belongs to one schedule, batch rule and
parametrisation (under muP the best rate hardly moves with width).
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="step_law_lr",
    formula="lr = c * tokens^beta / params^alpha",
    source="Li et al. 2025, arXiv:2503.04715",
    inputs=(
        Input("params", "N, parameters without the vocabulary", levels=2),
        Input("tokens", "D, training tokens", levels=2),
    ),
    coefficients=(
        Coefficient("c", "learning rate, at N = D = 1", low=0.0),
        Coefficient(
            "alpha", "exponent by which size lowers it", low=-3.0, high=3.0, starts=(-1.0, 2.0)
        ),
        Coefficient(
            "beta", "exponent by which data raise it", low=-3.0, high=3.0, starts=(-1.0, 2.0)
        ),
    ),
)
