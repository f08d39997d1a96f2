"""Headroom to the cent: so much may be lent, and a cent more reaches the limit; whatever book, figure and past."""

from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from models.credit.lookahead_industry import GrowthLimit, HhiLimit, Squares, growth_use, hhi_use
from models.credit.running import RunningBook

CENT = Decimal("0.01")
MONEY = st.integers(0, 10**9).map(lambda cents: Decimal(cents).scaleb(-4))  # rates leave more places than two
BOOKS = st.fixed_dictionaries({"C": MONEY, "F": MONEY, "K": MONEY, "unknown": MONEY}).filter(
    lambda book: any(book.values())
)
FIGURES = st.integers(1, 1100).map(lambda figure: Decimal(figure).scaleb(-3))


def over(book: dict[str, Decimal], lent: Decimal, figure: Decimal) -> Fraction:
    """How far the squares are above figure × total² after a loan to C, exactly."""
    held = [Fraction(amount) for amount in (book | {"C": book["C"] + lent}).values()]
    return sum((one * one for one in held), Fraction(0)) - Fraction(figure) * sum(held, Fraction(0)) ** 2


@settings(max_examples=60, deadline=None)
@given(BOOKS, FIGURES, st.integers(0, 100))
def test_the_headroom_of_hhi_is_exact(book: dict[str, Decimal], figure: Decimal, part: int) -> None:
    use = hhi_use(HhiLimit(name="hhi", figure=figure), Squares.of(RunningBook(book), "C"))
    assert use is not None
    assert use.broken == (over(book, Decimal(0), figure) >= 0)
    room = use.headroom
    if room is not None:
        # Just so much may meet the limit, but is never past it.
        assert over(book, room, figure) <= 0
        assert over(book, room + CENT, figure) > 0
        if not use.broken:
            assert room >= 0
            assert over(book, room * part / 101, figure) < 0
    elif figure < 1:
        # It is broken, and neither what is repaid nor what is lent, in whole cents, brings it below.
        assert use.broken
        assert over(book, -(book["C"] * part / 100).quantize(CENT, ROUND_DOWN), figure) >= 0
        assert over(book, Decimal(10) ** (part // 10), figure) >= 0
    else:
        # Lending to one industry of several never makes it the only one.
        assert use.broken or over(book, Decimal(10) ** (part // 10), figure) < 0


@settings(max_examples=60, deadline=None)
@given(MONEY, MONEY, MONEY.filter(bool), FIGURES, st.integers(0, 999))
def test_the_headroom_of_growth_is_exact(
    exposure: Decimal, others: Decimal, then: Decimal, figure: Decimal, share: int
) -> None:
    limit = GrowthLimit(name="growth", figure=figure, months=12, share_from=Decimal(share).scaleb(-3))

    def reached(lent: Decimal) -> bool:
        now, total = exposure + lent, exposure + others + lent
        return now >= (1 + figure) * then and now >= limit.share_from * total

    use = growth_use(limit, exposure, exposure + others, then)
    assert use is not None
    assert use.broken == reached(Decimal(0))
    assert use.headroom is not None
    assert reached(use.headroom + CENT)
    assert not reached(use.headroom - CENT)
    assert use.broken == (use.headroom < 0 or (use.headroom == 0 and reached(Decimal(0))))
    after = growth_use(limit, exposure + CENT, exposure + others + CENT, then)
    assert after is not None
    assert after.broken == reached(CENT)
