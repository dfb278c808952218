"""Loss as a function of model size and tokens that share one exponent.

`chinchilla` with alpha = beta, so that the best tokens per parameter are the same at every budget. Use
it where runs are too few or too alike for two exponents, and as the first stage of `data_constrained`.
The coefficients are as in `chinchilla`: E, A and B in the unit of the loss. If the exponents differ,
this law forces the best size to grow as the square root of compute, whatever the data say: compare it
with `chinchilla` on held-out runs.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="chinchilla_tied",
    formula="loss = E + A / params^alpha + B / tokens^alpha",
    source="Muennighoff et al. 2023, arXiv:2305.16264: the fit of single-epoch runs with alpha = beta",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that size removes, at N = 1", low=0.0),
        Coefficient("B", "loss that data removes, at D = 1", low=0.0),
        Coefficient(
            "alpha", "exponent of size and of data", low=0.01, high=2.0, starts=(0.02, 1.9)
        ),
    ),
)
