"""Loss between an irreducible one and that of an untrained model, also when data repeat.

(E + L0 h) / (1 + h), where h adds up what size, tokens seen and over-fitting leave of the loss. Use it
where runs are so small, or repeat their data so often, that the loss comes near to that of a blind
guess: other laws of size and data grow without bound there. N0 and T0 are the parameters and the tokens
at which size alone, or data alone, leave the loss half-way between E and L0 (the source writes a for
N0^alpha and b for T0^beta); c is a pure number. L0 is the loss of a blind guess, ln V in nats for V
equally likely tokens: fix it (`fixed={"L0": ...}`) unless runs lie near it. The over-fitting term needs
runs of several sizes on the same few unique tokens; without them c, gamma and delta trade off, and
`bounded_rational` is the law to fit.
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
