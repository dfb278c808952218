"""Loss when data repeat: repeated tokens and excess parameters are worth less and less.

D tokens seen of which U are different count as U (1 + RD (1 - e^-((D / U - 1) / RD))). Likewise with
parameters beyond those that are optimal for U tokens, N_opt(U), where alpha A / N^alpha is beta B /
U^beta. E, A and B are in the unit of the loss; RD counts repeats and RN multiples of N_opt(U) after
which more is worth little. The authors fit E, A, B and alpha = beta to runs without repeats (by the law
`chinchilla_tied`), fix them, and fit RD and RN to the rest: `find_law("data_constrained").fixed(...)`.
RD is weakly determined unless data repeat far more often than it says, and losses that rise again by
over-fitting are outside of this law: see `bounded`.
"""

from analysis.law import Coefficient, Input, Law

FRESH = "min(tokens, unique_tokens)"
USED = f"min(params, (alpha * A * {FRESH}^beta / (beta * B))^(1 / alpha))"

LAW = Law(
    name="data_constrained",
    formula=f"loss = E + A / ({USED} * (1 + RN * (1 - exp((1 - params / {USED}) / RN))))^alpha"
    f" + B / ({FRESH} * (1 + RD * (1 - exp((1 - tokens / {FRESH}) / RD))))^beta",
    source="Muennighoff et al. 2023, arXiv:2305.16264; utils/parametric_fit.ipynb of their code",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=2),
        Input("tokens", "D, tokens seen, repeats counted", levels=2),
        Input("unique_tokens", "U, different tokens of the data, seen or not", levels=2),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that size removes, at N = 1", 1e-9, 1e30, (1e-1, 1e8), log=True),
        Coefficient("B", "loss that data removes, at D = 1", 1e-9, 1e30, (1e-1, 1e8), log=True),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.05, 1.0)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.05, 1.0)),
        Coefficient("RD", "repeats after which data are used up", 1e-2, 1e4, (0.3, 1e3), log=True),
        Coefficient("RN", "excess size that is used up", 1e-2, 1e4, (0.3, 1e3), log=True),
    ),
)
