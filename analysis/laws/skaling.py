"""Loss whose size and data terms share an outer exponent: between the laws of Chinchilla and of Kaplan.

E + A (N^-alpha + R D^-beta)^k with N0 = A^(1 / (alpha k)) and D0 = (R A^(1 / k))^(1 / beta). With k = 1
it is `chinchilla`, with beta = 1 and E = 0 `kaplan`. N0 (parameters) and D0 (tokens) are where one term
alone leaves a loss of 1 above E; far along one axis the exponents are alpha k and beta k, so compare
those with the exponents of other laws. k below 1 means that size helps more where data are many. It is
told only by runs where neither term dominates; from few or noisy runs it trades off with both
exponents, and `chinchilla` forecasts better.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="skaling",
    formula="loss = E + ((N0 / params)^alpha + (D0 / tokens)^beta)^k",
    source="Videau et al. 2026, arXiv:2608.07222; its ends are Kaplan et al. 2020, arXiv:2001.08361, "
    "and Hoffmann et al. 2022, arXiv:2203.15556",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient(
            "N0",
            "size at which size alone leaves a loss of 1 above E",
            1e-60,
            1e60,
            (1e-6, 1e6),
            log=True,
            of="params",
        ),
        Coefficient(
            "D0",
            "tokens at which data alone leave a loss of 1 above E",
            1e-60,
            1e60,
            (1e-6, 1e6),
            log=True,
            of="tokens",
        ),
        # What shows at the ends is k times these, so with a small k they are large.
        Coefficient(
            "alpha", "size exponent within the sum", low=0.01, high=6.0, starts=(0.05, 4.0)
        ),
        Coefficient("beta", "data exponent within the sum", low=0.01, high=6.0, starts=(0.05, 4.0)),
        Coefficient("k", "outer exponent", low=0.05, high=1.0, starts=(0.15, 0.95)),
    ),
)
