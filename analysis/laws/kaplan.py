"""Loss as a function of model size and of tokens that falls to zero: the joint law of Kaplan et al.

They write it ((Nc / N)^(alpha_N / alpha_D) + Dc / D)^alpha_D; here A = Nc^alpha_N and A R = Dc^alpha_D,
which a loss in another unit changes little, while Nc and Dc move by many powers of ten. Published:
alpha_N = 0.076, alpha_D = 0.103, Nc = 6.4e13, Dc = 1.8e13.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="kaplan",
    formula="loss = A * ((1 / params)^(alpha_N / alpha_D) + R^(1 / alpha_D) / tokens)^alpha_D",
    source="Kaplan et al. 2020, arXiv:2001.08361, equation 1.5",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("A", "loss at N = 1 with endless data", low=0.0),
        Coefficient(
            "R", "loss at D = 1 with an endless model, over A", 1e-30, 1e30, (1e-9, 1e9), log=True
        ),
        Coefficient("alpha_N", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.5)),
        Coefficient("alpha_D", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.5)),
    ),
)
