"""Loss as a function of model size and of tokens that falls to zero: the joint law of Kaplan et al.

`Nc` (parameters) and `Dc` (tokens) are where size alone, or data alone, leave a loss of 1; they move by
powers of ten with the unit of the loss and with the tokenizer; only the exponents mean something by
themselves. Published: alpha_N = 0.076, alpha_D = 0.103, Nc = 6.4e13, Dc = 1.8e13. Use it to compare
with older work: without an irreducible loss its forecasts fall for ever, and on a loss with a floor its
exponents come out too small. `skaling` holds both this law and `chinchilla`.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="kaplan",
    formula="loss = ((Nc / params)^(alpha_N / alpha_D) + Dc / tokens)^alpha_D",
    source="Kaplan et al. 2020, arXiv:2001.08361, equation 1.5",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient(
            "Nc",
            "size at which a loss of 1 remains with endless data",
            1e-250,
            1e250,
            (1e-9, 1e15),
            log=True,
            of="params",
        ),
        Coefficient(
            "Dc",
            "tokens at which a loss of 1 remains with an endless model",
            1e-250,
            1e250,
            (1e-9, 1e15),
            log=True,
            of="tokens",
        ),
        Coefficient("alpha_N", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.5)),
        Coefficient("alpha_D", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.5)),
    ),
)
