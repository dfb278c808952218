"""What measurements would tell of a decision, to first order, and a greedy choice for a budget.

How a decision and the prediction at a place vary together says what a run there would tell. Source:
Chaloner and Verdinelli 1995, Bayesian experimental design: a review, doi:10.1214/ss/1177009939
(c-optimality with a normal prior).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TELLING = 0.005  # share of the interval that a run must take away to be worth its name

Places = Float[np.ndarray, " place"]


@dataclass(frozen=True)
class Spread:
    """How a decision and the prediction at every place change along directions, each one error long.

    `noise` is the variance of the error of one run at each place.
    """

    decision: Float[np.ndarray, " direction"]
    places: Float[np.ndarray, "direction place"]
    noise: Places

    @property
    def variance(self) -> float:
        """That of the decision."""
        return float(self.decision @ self.decision)

    def left(self) -> Places:
        """The variance of the decision after one run, for every place."""
        shared = self.decision @ self.places
        own = (self.places**2).sum(axis=0)
        return np.maximum(self.variance - shared**2 / (own + self.noise), 0.0)

    def after(self, place: int) -> "Spread":
        """What is left to know after a run at one place: the covariance after a measurement.

        Its root is that before it, with what varies along the measurement made smaller (Potter's
        square root of the Kalman update).
        """
        column = self.places[:, place]
        own, noise = float(column @ column), float(self.noise[place])
        if own <= 0:
            return self
        step = (1 - np.sqrt(noise / (own + noise))) / own
        return Spread(
            self.decision - step * column * float(column @ self.decision),
            self.places - step * np.outer(column, column @ self.places),
            self.noise,
        )


def choose(of: Spread, costs: Places, budget: float, most: int, repeats: int) -> list[int]:
    """The places of the runs to buy: the better of two greedy choices.

    One is by what each run tells for its cost, the other by what it tells. Either alone can be poor
    under a budget, the better of both cannot be arbitrarily so (Leskovec et al. 2007,
    doi:10.1145/1281192.1281239, for gains that never grow).
    """
    ways = [_greedy(of, costs, budget, most, repeats, by_cost=one) for one in (True, False)]

    def rank(way: tuple[list[int], float]) -> tuple[float, float]:
        # Of ways that leave as much, to a part in a thousand, the cheaper one.
        return round(way[1] / of.variance, 3), float(costs[way[0]].sum())

    return min(ways, key=rank)[0]


def _greedy(
    of: Spread, costs: Places, budget: float, most: int, repeats: int, *, by_cost: bool
) -> tuple[list[int], float]:
    """Buy one run after another while it is paid: the places, and the variance that is left."""
    bought: list[int] = []
    counts = np.zeros(len(costs), dtype=np.int64)
    while len(bought) < most:
        left = np.maximum(of.left(), 1e-12 * of.variance)
        gain = np.log(of.variance / left) / (costs if by_cost else 1.0)
        paid = float(costs[bought].sum()) + costs <= budget * (1 + 1e-12)
        telling = left <= of.variance * (1 - TELLING) ** 2
        gain = np.where(telling & (counts < repeats) & paid, gain, -np.inf)
        best = int(np.argmax(gain))
        if not gain[best] > 0:
            break
        counts[best] += 1
        bought.append(best)
        of = of.after(best)
    return bought, of.variance
