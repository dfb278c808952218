"""Loss between an irreducible one and that of an untrained model, also when data repeat.

(E + L0 h) / (1 + h), where h adds up what size, tokens seen and over-fitting leave of the loss. The source
writes a for N0^alpha and b for T0^beta, and takes L0, the loss of a blind guess, as known: fix it.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="bounded",
    formula="loss = L0 + (E - L0) / (1 + (N0 / params)^alpha + (T0 / tokens)^beta"
    " + c * params^gamma / unique_tokens^delta)",
    source="Bryant and Liu 2026, arXiv:2605.09189",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "T, tokens seen, repeats counted", levels=3),
        Input("unique_tokens", "D, different tokens seen", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("L0", "loss of an untrained model", low=0.0),
        Coefficient(
            "N0",
            "size at which size alone leaves half",
            1e-30,
            1e30,
            (1e-6, 1e3),
            log=True,
            of="params",
        ),
        Coefficient(
            "T0",
            "tokens at which tokens alone leave half",
            1e-30,
            1e30,
            (1e-6, 1e3),
            log=True,
            of="tokens",
        ),
        Coefficient("c", "over-fitting, at N = D = 1", 1e-30, 1e30, (1e-6, 1e6), log=True),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient(
            "gamma", "size exponent of over-fitting", low=0.0, high=3.0, starts=(0.05, 1.5)
        ),
        Coefficient(
            "delta", "data exponent of over-fitting", low=0.0, high=3.0, starts=(0.05, 1.5)
        ),
    ),
)
