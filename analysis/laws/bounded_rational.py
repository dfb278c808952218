"""Loss between an irreducible one and that of an untrained model, in size and tokens.

(E + L0 g) / (1 + g) with g = (N0 / N)^alpha + (D0 / D)^beta: for large models it is `chinchilla` with A
= (L0 - E) N0^alpha, and for tiny ones the loss stays below L0. Use it where some runs have learned
little more than frequencies, which pull the exponents of `chinchilla` down. N0 (parameters) and D0
(tokens) are where one term alone leaves the loss half-way; E and L0 have the unit of the loss. When no
run lies near L0 the data cannot tell it: fix it to the loss of a blind guess, or use `chinchilla`.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="bounded_rational",
    formula="loss = L0 + (E - L0) / (1 + (N0 / params)^alpha + (D0 / tokens)^beta)",
    source="Bryant and Liu 2026, arXiv:2605.09189, without over-fitting",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
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
            "D0",
            "tokens at which tokens alone leave half",
            1e-30,
            1e30,
            (1e-6, 1e3),
            log=True,
            of="tokens",
        ),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
)
