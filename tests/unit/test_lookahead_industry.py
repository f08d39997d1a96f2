"""A proposed loan held against limits on growth and on HHI: figures worked out by hand, exactly at each limit."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from models.credit.lookahead import BookSums, LimitChange, MonthlyHistory, ProposedLoan, look_ahead
from models.credit.lookahead_industry import AnyLimit, GrowthLimit, HhiLimit, all_limits
from models.credit.lookahead_limits import Capital, policy_limits
from models.credit.running import RunningBook
from models.policy import Policy

DAY = date(2026, 6, 30)
GROWTH = GrowthLimit(name="growth", figure=Decimal("0.5"), months=12, share_from=Decimal("0.2"))
HALF = HhiLimit(name="half", figure=Decimal("0.5"))


def ask(limit: AnyLimit, amount: str, history: MonthlyHistory | None = None, to: str = "C", **book: str) -> LimitChange:
    exposures = {name: Decimal(value) for name, value in book.items()}
    sums = BookSums(total=sum(exposures.values(), Decimal(0)), dimensions={"industry": RunningBook(exposures)})
    (found,) = look_ahead(
        sums, ProposedLoan(industry=to, amount=Decimal(amount)), [limit], Capital(), DAY, history
    ).limits
    return found


def told(found: LimitChange) -> list[tuple[str, str, str, bool] | None]:
    uses = (found.before, found.after)
    return [one and (str(one.ratio), str(one.used), str(one.headroom), one.broken) for one in uses]


def was(*exposures: int) -> MonthlyHistory:
    """What C was at the end of the months before this one, the latest last."""
    return MonthlyHistory(past={"C": tuple(map(Decimal, exposures))})


YEAR = was(*(7,) * 5, 100, *(7,) * 11)  # 100 at the end of the month 12 before


# -------------------------------------------------------------------------- growth


def test_growth_is_reached_when_it_has_grown_enough() -> None:
    # 120 of 200, large enough from 20 % of the book on; 150 is half as much again as 100.
    for amount, after, breaks in (
        ("29.99", ("0.499900", "0.999800", "0.01", False), False),
        ("30", ("0.500000", "1.000000", "0.00", True), True),
    ):
        found = ask(GROWTH, amount, YEAR, C="120", K="80")
        assert told(found) == [("0.200000", "0.400000", "30.00", False), after]
        assert (found.subject, found.breaks, found.date_before, found.date_after) == ("C", breaks, None, None)


def test_growth_counts_from_a_share_of_the_book_to_which_the_loan_adds() -> None:
    # 160 of 1000 has grown enough, but is a fifth only at 210 of 1050: (0.2 · 1000 - 160) / 0.8.
    for amount, breaks in (("49.99", False), ("50", True)):
        found = ask(GROWTH, amount, YEAR, C="160", K="840")
        assert told(found)[0] == ("0.600000", "1.200000", "50.00", False)
        assert found.breaks == breaks


def test_what_has_grown_already_is_not_broken_by_the_loan() -> None:
    found = ask(GROWTH, "1", YEAR, C="180", K="20")
    assert told(found) == [("0.800000", "1.600000", "-30.00", True), ("0.810000", "1.620000", "-31.00", True)]
    assert not found.breaks


def test_what_has_shrunk_has_a_growth_below_zero() -> None:
    assert told(ask(GROWTH, "1", YEAR, C="50", K="50"))[0] == ("-0.500000", "-1.000000", "100.00", False)


@pytest.mark.parametrize("history", [None, MonthlyHistory(), was(*(100,) * 11), was(0, *(100,) * 11)])
def test_where_nothing_is_known_of_then_nothing_is_judged(history: MonthlyHistory | None) -> None:
    found = ask(GROWTH, "1000", history, C="100", K="1")
    assert (told(found), found.breaks) == ([None, None], False)


def test_growth_of_no_known_industry_is_not_judged() -> None:
    sums = BookSums(total=Decimal(5), dimensions={"industry": RunningBook({"unknown": Decimal(5)})})
    loan = ProposedLoan(industry="unknown", amount=Decimal(1))
    found = look_ahead(sums, loan, [GROWTH, HALF], Capital(), DAY, YEAR)
    assert [one.subject for one in found.limits] == ["book"]


# ----------------------------------------------------------------------------- HHI


def test_hhi_at_its_limit() -> None:
    # 20, 20, 20: (20 + a)² + 2 · 20² = (60 + a)² / 2 at a = 60; 80² + 2 · 20² is half of 120².
    for amount, breaks in (("59.99", False), ("60", True), ("60.01", True)):
        found = ask(HALF, amount, C="20", F="20", K="20")
        assert told(found)[0] == ("0.333333", "0.666667", "60.00", False)
        assert (found.subject, found.breaks) == ("book", breaks)
        assert found.date_before is None


def test_the_headroom_of_hhi_is_rounded_down_to_the_cent() -> None:
    # 10 and 20 of 30 (HHI 5/9), limit 0.6: a² + 10·a - 100 = 0 for K, a = √125 - 5 = 6.1803...
    limit = HhiLimit(name="three fifths", figure=Decimal("0.6"))
    found = ask(limit, "6.18", to="K", C="10", K="20")
    assert told(found)[0] == ("0.555556", "0.925926", "6.18", False)
    assert told(found)[1] == ("0.599998", "0.999996", "0.00", False)
    assert ask(limit, "6.19", to="K", C="10", K="20").breaks


def test_a_broken_hhi_is_mended_by_repaying_the_largest_or_lending_to_a_small_one() -> None:
    # 90 and 10 at 0.82, limit 0.68 (the HHI of 80 and 20, or of 4 to 1): K down to 40, or C up to from 22.5 to 360.
    limit = HhiLimit(name="four to one", figure=Decimal("0.68"))
    assert told(ask(limit, "1", to="K", C="10", K="90"))[0] == ("0.820000", "1.205882", "-50.00", True)
    found = ask(limit, "12.51", C="10", K="90")
    assert told(found) == [("0.820000", "1.205882", "350.00", True), ("0.679915", "0.999875", "337.49", False)]
    assert not found.breaks


@pytest.mark.parametrize(
    ("figure", "book", "broken"),
    [
        ("1", {"C": "1", "K": "99"}, False),  # no amount reaches it
        ("1.5", {"C": "1"}, False),
        ("1", {"C": "1"}, True),
        ("0.25", {"C": "10", "K": "90"}, True),  # two industries have a half at least
        ("0.5", {"C": "10", "K": "90"}, True),  # just a half, at 90 and 90, and never below
    ],
)
def test_there_is_no_headroom_where_no_amount_reaches_or_mends_it(
    figure: str, book: dict[str, str], broken: bool
) -> None:
    found = ask(HhiLimit(name="hhi", figure=Decimal(figure)), "0.01", **book).before
    assert found is not None
    assert (found.broken, found.headroom) == (broken, None)


def test_repaying_all_of_it_may_not_be_enough() -> None:
    # (5² + 10² + 90²) / 105² = 8225 / 11025; three industries have a third at least.
    found = ask(HhiLimit(name="hhi", figure=Decimal("0.30")), "1", C="5", F="10", K="90")
    assert told(found)[0] == ("0.746032", "2.486772", "None", True)


def test_the_first_loan_of_all_is_the_whole_book() -> None:
    found = ask(HALF, "10")
    assert told(found) == [None, ("1.000000", "2.000000", "None", True)]
    assert found.breaks


def test_the_day_on_which_hhi_reaches_its_limit() -> None:
    # 0.38 now, five thousandths more each month: 0.40 is four months off, of 30.4375 days.
    history = MonthlyHistory(hhi=tuple(Decimal(350 + 5 * month).scaleb(-3) for month in range(7)))
    limit = HhiLimit(name="hhi", figure=Decimal("0.40"))
    found = ask(limit, "50", history, to="K", C="200", F="300", K="500")
    assert found.date_before is not None
    assert found.date_after is not None
    assert (str(found.date_before.pace), found.date_before.changes) == ("0.005000", 6)
    assert found.date_before.expected == found.date_before.latest == DAY + timedelta(days=122)
    # (200² + 300² + 550²) / 1050² = 0.392290: 0.007710 are left, 1.542 months.
    assert found.date_after.expected == DAY + timedelta(days=47)


# ---------------------------------------------------------------------- the policy's


def test_limits_of_the_policy(policy: Policy) -> None:
    known = policy_limits(policy)
    found = all_limits(policy)
    assert found[: len(known)] == known
    assert [
        (one.name.removeprefix("detectors.industry_concentration."), str(one.figure), one.level)
        for one in found[len(known) :]
    ] == [
        ("growth.observation", "0.30", "observation"),
        ("hhi.observation", "0.15", "observation"),
        ("growth.warning", "0.50", "warning"),
        ("hhi.warning", "0.18", "warning"),
        ("growth.control", "1.00", "control"),
        ("hhi.control", "0.25", "control"),
    ]
    growth = found[len(known)]
    assert isinstance(growth, GrowthLimit)
    assert (growth.months, str(growth.share_from)) == (12, "0.05")


def test_a_rule_without_them_or_that_is_off_sets_none(policy: Policy) -> None:
    for fields in ({"growth": None, "hhi": None}, {"mode": "off"}):
        rule = msgspec.structs.replace(policy.detectors.industry_concentration, **fields)
        detectors = msgspec.structs.replace(policy.detectors, industry_concentration=rule)
        bare = msgspec.structs.replace(policy, detectors=detectors)
        assert all_limits(bare) == policy_limits(bare)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"figure": Decimal(0)}, "figure of growth is 0"),
        ({"months": 0}, "looks back 0 months"),
        ({"share_from": Decimal(1)}, "from a share of 1"),
        ({"share_from": Decimal("NaN")}, "from a share of NaN"),
    ],
)
def test_what_is_no_limit_is_refused(fields: dict[str, Any], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        msgspec.structs.replace(GROWTH, **fields)
    with pytest.raises(ValueError, match="figure of half is -1"):
        msgspec.structs.replace(HALF, figure=Decimal(-1))
