"""Loss as a function of the shares of several domains, whose pull depends on size and tokens.

So the best shares change with scale. The law of Shukor et al. is E + 1 / sum_i C_i h_i^g_i + (sum_i a_i
h_i)^s / N^alpha + (sum_i b_i h_i)^t / D^beta. Here the first share of every sum has no coefficient of
its own: K = 1 / C_1, and the c_i are relative to it. A mean of order p over the domains, (sum_i h_i
A_i^p)^(1/p), stands for the powers of sums: p_A = 1 / s and p_B = 1 / t, A and B are those of domain 1
alone, and A_i and B_i how many times larger they are with domain i alone; the g_i are exponents.
`mixture_joint:3` has three domains. It needs several mixtures at several sizes and lengths; p_A and p_B
are weakly determined unless single domains and mixtures were both run, and where they are not,
`mixture` forecasts better.
"""

from analysis.law import Coefficient, Input, Law
from trainers.schema import InputError

MOST = 12  # domains


def make(domains: int) -> Law:
    """The law with that many domains, whose shares are the inputs share_1, share_2, ...

    Raises:
        InputError: there are fewer than two domains, or too many.
    """
    if not 2 <= domains <= MOST:
        raise InputError(f"law mixture_joint: expected a size of 2 to {MOST}, got {domains}")
    numbers = range(1, domains + 1)
    return Law(
        name="mixture_joint" if domains == 2 else f"mixture_joint:{domains}",
        formula=f"loss = E + K / ({_mixed(domains)})"
        f" + A * ({_pulled('A', domains)})^(1 / p_A) / params^alpha"
        f" + B * ({_pulled('B', domains)})^(1 / p_B) / tokens^beta",
        source="Shukor et al. 2025, arXiv:2507.09404",
        inputs=(
            Input("params", "N, non-embedding parameters", levels=2),
            Input("tokens", "D, training tokens", levels=2),
            *(
                Input(f"share_{number}", f"share of domain {number}", levels=3, positive=False)
                for number in numbers
            ),
        ),
        coefficients=(
            Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
            Coefficient("K", "loss that the mixture adds with domain 1 alone", low=0.0),
            Coefficient("A", "loss that size removes with domain 1 alone, at N = 1", low=0.0),
            Coefficient("B", "loss that data removes with domain 1 alone, at D = 1", low=0.0),
            Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.05, 1.5)),
            Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.05, 1.5)),
            *(_relative(f"c_{number}", f"weight of domain {number}") for number in numbers[1:]),
            *(
                Coefficient(f"g_{number}", f"exponent of domain {number}", 0.01, 5.0, (0.05, 2.0))
                for number in numbers
            ),
            *(_relative(f"A_{number}", f"A with domain {number} alone") for number in numbers[1:]),
            *(_relative(f"B_{number}", f"B with domain {number} alone") for number in numbers[1:]),
            Coefficient("p_A", "order of the mean over domains in A", -9.0, 9.0, (-3.0, 3.0)),
            Coefficient("p_B", "order of the mean over domains in B", -9.0, 9.0, (-3.0, 3.0)),
        ),
    )


def _mixed(domains: int) -> str:
    # A share may be 0, whose logarithm (in a derivative) is infinite.
    parts = [f"max(share_{number}, 1e-300)^g_{number}" for number in range(1, domains + 1)]
    return " + ".join([parts[0], *(f"c_{n} * {part}" for n, part in enumerate(parts[1:], start=2))])


def _pulled(amplitude: str, domains: int) -> str:
    # With a mean of some order what the data tell, A of a domain alone, is a coefficient.
    others = range(2, domains + 1)
    parts = [f"{amplitude}_{n}^p_{amplitude} * share_{n}" for n in others]
    return " + ".join(["share_1", *parts])


def _relative(name: str, meaning: str) -> Coefficient:
    return Coefficient(name, f"{meaning}, relative to domain 1", 1e-4, 1e4, (0.05, 20.0), log=True)


LAW = make(2)
