"""The granularity adjustment: capital for what a book's largest borrowers add to its systematic risk.

GA = 1/(2K*) Σ s² [δ·C·(K+R) + δ·(K+R)²·v - K·(C + 2(K+R)·v)] over the borrowers, with K* = Σ s·K and

* R = PD·LGD, the expected loss rate; K the unexpected loss rate of the Basel IRB formula (CRE31, corporates) at a
  maturity of one year, where the maturity adjustment is 1;
* V = γ·LGD·(1-LGD), C = (LGD² + V) / LGD, v = V / LGD² for a loss given default of variance V; γ = 0.25;
* δ = (α-1)(ξ + (1-ξ)/α), α the 99.9 % quantile of the CreditRisk+ factor of mean 1 and precision ξ = 0.25: 4.8336.

The terms with v are of second order in K+R. Without them the sum is Σ s²·C·[δ(K+R) - K], the simplified adjustment,
which is smaller (at PD 1 %, LGD 45 % by a fortieth).
Source: Gordy & Lütkebohmert, Granularity Adjustment for Basel II, Deutsche Bundesbank DP 01/2007, and IJCB 9 (2013).
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from msgspec import Struct

from models.credit.indices_exact import checked, places_of, six_places, units

GAMMA = 0.25  # how widely losses given default vary, of the most they could
DELTA = 4.8336
_QUANTILE = 0.999
_UNIT = 1 << 60  # rates are held as whole numbers of these parts, so that sums of them cannot drift
_NORMAL = NormalDist()


class Risk(Struct, frozen=True):
    """A borrower's probability of default within a year and its loss given default, both shares from 0 to 1.

    Raises:
        ValueError: one of them is not a number from 0 to 1.
    """

    pd: Decimal
    lgd: Decimal

    def __post_init__(self) -> None:
        for name, value in (("probability of default", self.pd), ("loss given default", self.lgd)):
            if not (value.is_finite() and 0 <= value <= 1):
                raise ValueError(f"the {name} is {value}: it must be a share from 0 to 1")


class Rates(NamedTuple):
    """What a unit of exposure adds to K*, and a squared unit to the sum of GA; in parts of 2^-60."""

    capital: int
    spread: int
    simplified: int


def capital_rate(risk: Risk) -> float:
    """K: unexpected loss a unit of exposure, at 99.9 % and one year (Basel CRE31.5, corporate correlation).

    0 for a borrower who is certain to default, or certain not to: nothing is unexpected then.

    >>> round(capital_rate(Risk(Decimal("0.01"), Decimal("0.45"))), 6)
    0.058623
    """
    pd, lgd = float(risk.pd), float(risk.lgd)
    if not 0 < pd < 1:
        return 0.0
    weight = (1 - math.exp(-50 * pd)) / (1 - math.exp(-50))
    correlation = 0.12 * weight + 0.24 * (1 - weight)
    stressed = _NORMAL.inv_cdf(pd) + math.sqrt(correlation) * _NORMAL.inv_cdf(_QUANTILE)
    # erfc keeps the digits of a small probability, which 1 + erf would lose.
    conditional = math.erfc(-stressed / math.sqrt(2 * (1 - correlation))) / 2
    return max(0.0, lgd * (conditional - pd))


@lru_cache(maxsize=4096)
def rates(risk: Risk) -> Rates:
    """What a borrower of this risk adds; nothing when no loss of theirs would be unexpected (K = 0)."""
    capital = capital_rate(risk)
    if not capital:
        return Rates(0, 0, 0)
    lgd = float(risk.lgd)
    variance = GAMMA * lgd * (1 - lgd)
    factor, relative = (lgd * lgd + variance) / lgd, variance / (lgd * lgd)
    loss = capital + float(risk.pd) * lgd
    simplified = factor * (DELTA * loss - capital)
    spread = simplified + relative * loss * (DELTA * loss - 2 * capital)
    return Rates(int(capital * _UNIT), int(spread * _UNIT), int(simplified * _UNIT))


class GranularitySums(NamedTuple):
    """The sums that GA is a function of; a change of one borrower costs O(1).

    Args:
        total: Σ x.
        capital: Σ x·K.
        spread: Σ x²·[...], the bracket of GA's formula.
    """

    total: int = 0
    capital: int = 0
    spread: int = 0

    def moved(self, before: int, after: int, rate: Rates) -> "GranularitySums":
        """The sums once a borrower of this risk has gone from `before` to `after`."""
        return GranularitySums(
            self.total + after - before,
            self.capital + (after - before) * rate.capital,
            self.spread + (after * after - before * before) * rate.spread,
        )

    def scaled(self, factor: int) -> "GranularitySums":
        """The sums of the same book in units so many times finer."""
        return GranularitySums(self.total * factor, self.capital * factor, self.spread * factor * factor)

    @property
    def adjustment(self) -> Decimal | None:
        """GA, six places half-even; None ("none") for a book that bears no capital."""
        if not self.total or not self.capital:
            return None
        return six_places(Fraction(self.spread, 2 * self.total * self.capital))


def uniform_adjustment(hhi: Fraction, risk: Risk) -> Decimal | None:
    """GA of a book whose borrowers are all of one risk: then it is their HHI times a constant.

    Args:
        hhi: over the borrowers, exact.

    Returns:
        six places half-even; None ("none") for a risk that bears no capital.

    >>> str(uniform_adjustment(Fraction(1, 100), Risk(Decimal("0.01"), Decimal("0.45"))))
    '0.012660'
    """
    rate = rates(risk)
    return six_places(hhi * Fraction(rate.spread, 2 * rate.capital)) if rate.capital else None


def granularity_adjustment(
    exposures: Mapping[str, Decimal], risks: Mapping[str, Risk], *, simplified: bool = False
) -> Decimal | None:
    """GA of a book of borrowers, as a share of its exposure: 0.012660 is 126.60 basis points.

    Args:
        exposures: of each borrower, who is to be counted once with all loans.
        risks: of each borrower with an exposure. One with K = 0 (in default, or riskless) adds nothing to capital
            or to the sum; the exposure stays in the total.
        simplified: leave out the terms of second order.

    Returns:
        Six places half-even (inside, rates are doubles, sums exact); None for an empty book or one that bears no
        capital. Above zero, as a rule far below 1; a single borrower's may pass 1, where the approximation ends.

    Raises:
        ValueError: an exposure below zero or not finite, or a borrower without a risk; the message names the member.

    >>> hundred = {f"b{i}": Decimal(1) for i in range(100)}
    >>> str(granularity_adjustment(hundred, {name: Risk(Decimal("0.01"), Decimal("0.45")) for name in hundred}))
    '0.012660'
    """
    held = {name: value for name, value in exposures.items() if checked(name, value)}
    places = max(map(places_of, held.values()), default=0)
    sums = GranularitySums()
    for name, value in held.items():
        if name not in risks:
            raise ValueError(f"no probability of default and loss given default for {name!r}")
        rate = rates(risks[name])
        if simplified:
            rate = rate._replace(spread=rate.simplified)
        sums = sums.moved(0, units(value, places), rate)
    return sums.adjustment
