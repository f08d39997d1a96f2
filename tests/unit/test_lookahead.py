"""What a proposed loan would do: figures worked out by hand, exactly at each limit, and the day a limit breaks."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from scipy.stats import t as student_t

from models.credit.indices_granularity import Risk
from models.credit.lookahead import BookSums, LookAhead, MonthlyHistory, ProposedLoan, look_ahead
from models.credit.lookahead_limits import BookLimit, Capital, industry_limits, policy_limits, use_of
from models.credit.lookahead_pace import FEWEST_CHANGES, project, student
from models.credit.running import RunningBook
from models.credit.running_granularity import RunningGranularity
from models.policy import Policy

DAY = date(2026, 6, 30)
QUARTER = BookLimit(name="quarter", dimension="industry", base="book", figure=Decimal("0.25"))
STANDARD = Risk(Decimal("0.01"), Decimal("0.45"))


def decimals(**amounts: str | int) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items()}


def sums(**fields: Any) -> BookSums:
    industries = RunningBook(decimals(C=200, F=300, K=500))
    return BookSums(**{"total": Decimal(1000), "dimensions": {"industry": industries}} | fields)


def ask(amount: str, *limits: BookLimit, book: BookSums | None = None, **fields: Any) -> LookAhead:
    capital, history = fields.pop("capital", Capital()), fields.pop("history", None)
    loan = ProposedLoan(**{"industry": "C", "amount": Decimal(amount)} | fields)
    return look_ahead(book or sums(), loan, limits, capital, DAY, history)


def growing(months: int = 7) -> MonthlyHistory:
    """C and the whole book each grew by ten a month, to 200 and 1000."""
    ago = range(months - 1, -1, -1)
    series = tuple(Decimal(200 - 10 * month) for month in ago)
    return MonthlyHistory(
        totals=tuple(Decimal(1000 - 10 * month) for month in ago), exposures={"industry": {"C": series}}
    )


# ----------------------------------------------------------------- before and after


def test_share_and_hhi_before_and_after() -> None:
    change = ask("50").changes[0]
    assert (change.dimension, change.member) == ("industry", "C")
    assert (change.exposure_before, change.exposure_after) == (Decimal(200), Decimal(250))
    assert (str(change.share_before), str(change.share_after)) == ("0.200000", "0.238095")
    # (200² + 300² + 500²) / 1000², then (250² + 300² + 500²) / 1050²
    assert (str(change.hhi_before), str(change.hhi_after)) == ("0.380000", "0.365079")


def test_the_book_stays_as_it_is() -> None:
    book = sums(granularity=RunningGranularity(decimals(b1=400, b2=600), {"b1": STANDARD, "b2": STANDARD}))
    first = ask("50.123456789", QUARTER, book=book, borrower="b1", history=growing())
    assert ask("50.123456789", QUARTER, book=book, borrower="b1", history=growing()) == first
    assert book.dimensions["industry"].exposures == decimals(C=200, F=300, K=500)


def test_every_dimension_that_the_loan_and_the_book_have() -> None:
    book = sums(
        dimensions={
            "industry": RunningBook(decimals(C=200, K=800)),
            "region": RunningBook(decimals(north=1000)),
            "borrower": RunningBook(decimals(b1=600, b2=400)),
            "group": RunningBook(decimals(g=500)),
            "real_estate": RunningBook(decimals(mortgage=100)),
        }
    )
    found = ask("250", book=book, borrower="b1", group="g", region="south", real_estate="development")
    told = {one.dimension: (one.member, str(one.share_before), str(one.share_after)) for one in found.changes}
    assert told == {
        "industry": ("C", "0.200000", "0.360000"),
        "borrower": ("b1", "0.600000", "0.680000"),
        "group": ("g", "0.500000", "0.600000"),
        "region": ("south", "0.000000", "0.200000"),
        "real_estate": ("development", "0.000000", "0.200000"),
    }
    assert [one.dimension for one in ask("250", book=book).changes] == ["industry", "borrower"]
    newcomer = ask("250", book=book).changes[1]
    assert (newcomer.member, str(newcomer.share_after), str(newcomer.hhi_after)) == ("", "0.200000", "0.372800")


def test_the_first_loan_of_all() -> None:
    empty = BookSums(total=Decimal(0), dimensions={"industry": RunningBook()}, granularity=RunningGranularity())
    found = ask("10", QUARTER, book=empty, risk=STANDARD)
    change = found.changes[0]
    assert (change.share_before, change.hhi_before, found.granularity_before) == (None, None, None)
    assert (str(change.share_after), str(change.hhi_after)) == ("1.000000", "1.000000")
    assert found.limits[0].before is None
    assert found.breaks == ("quarter",)


def test_granularity_before_and_after() -> None:
    hundred = {f"b{i}": Decimal(10) for i in range(100)}
    book = sums(granularity=RunningGranularity(hundred, dict.fromkeys(hundred, STANDARD)))
    # Homogeneous risk: GA is 1.26602 x HHI of the borrowers; after: (99·10² + 60²) / 1050² of one, or one more of 50.
    known = ask("50", book=book, borrower="b0")
    assert (str(known.granularity_before), str(known.granularity_after)) == ("0.012660", "0.015502")
    assert str(ask("50", book=book, risk=STANDARD).granularity_after) == "0.014354"
    assert ask("50", book=book).granularity_after is None  # a newcomer of unknown risk
    assert ask("50").granularity_before is None


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_what_is_no_loan_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        ask(amount)


# -------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("amount", "op", "breaks"),
    [
        ("99.99", ">=", False),
        ("100", ">=", True),  # 275 of 1100
        ("100", ">", False),
        ("100.01", ">", True),
    ],
)
def test_a_share_is_judged_exactly_at_its_limit(amount: str, op: Any, breaks: bool) -> None:
    limit = msgspec.structs.replace(QUARTER, op=op)
    book = sums(dimensions={"industry": RunningBook(decimals(C=175, K=825))})
    found = ask(amount, limit, book=book)
    assert str(found.limits[0].before.headroom if found.limits[0].before else None) == "100.00"
    assert (found.limits[0].breaks, found.breaks) == (breaks, ("quarter",) if breaks else ())


def test_headroom_counts_that_the_book_grows_with_the_loan_and_is_rounded_down() -> None:
    found = ask("50", QUARTER).limits[0]
    assert found.before is not None
    assert found.after is not None
    # (0.25 · 1000 - 200) / 0.75 = 66.666..., then (0.25 · 1050 - 250) / 0.75 = 16.666...
    assert (str(found.before.headroom), str(found.after.headroom)) == ("66.66", "16.66")
    assert (str(found.before.used), str(found.after.used)) == ("0.800000", "0.952381")
    assert ask("66.66", QUARTER).breaks == ()
    assert ask("66.67", QUARTER).breaks == ("quarter",)


def test_past_a_limit_the_headroom_is_what_must_be_repaid() -> None:
    found = ask("10", QUARTER, industry="K").limits[0]
    assert found.before is not None
    assert (str(found.before.headroom), found.before.broken) == ("-333.34", True)
    assert not found.breaks  # it was broken without this loan
    assert use_of(QUARTER, Decimal("166.66"), Decimal("666.66"), Capital()).broken is False  # type: ignore[union-attr]


def test_multiples_of_capital() -> None:
    single = BookLimit(name="net", dimension="borrower", base="net_capital", figure=Decimal("0.10"), op=">")
    large = BookLimit(name="tier1", dimension="borrower", base="tier1_capital", figure=Decimal("0.025"))
    book = sums(dimensions={"borrower": RunningBook(decimals(b1=30))})
    found = ask("10", single, large, book=book, borrower="b1", capital=Capital(Decimal(400), Decimal(1400)))
    net, tier1 = found.limits
    assert net.after is not None
    assert tier1.before is not None
    assert (str(net.after.ratio), str(net.after.headroom), net.after.broken) == ("0.100000", "0.00", False)
    assert (str(tier1.before.headroom), found.breaks) == ("5.00", ("tier1",))
    unknown = ask("10", single, large, book=book, borrower="b1", capital=Capital(Decimal(0), None))
    assert [(one.before, one.after, one.breaks, one.date_before) for one in unknown.limits] == [
        (None, None, False, None)
    ] * 2


def test_members_that_count_together_and_the_largest_together() -> None:
    estate = BookLimit(
        name="estate",
        dimension="real_estate",
        base="book",
        figure=Decimal("0.40"),
        members=("development", "mortgage"),
    )
    mortgages = msgspec.structs.replace(estate, name="mortgages", members=("mortgage",), figure=Decimal("0.325"))
    top = BookLimit(name="top", dimension="group", base="net_capital", figure=Decimal("0.50"), largest=2)
    book = sums(
        dimensions={
            "real_estate": RunningBook(decimals(development=150, mortgage=240)),
            "group": RunningBook(decimals(g1=100, g2=90, g3=80)),
        }
    )
    asked = {"book": book, "real_estate": "development", "group": "g3", "capital": Capital(net=Decimal(400))}
    found = ask("30", estate, mortgages, top, **asked)
    assert [(one.limit.name, one.subject, one.breaks) for one in found.limits] == [
        ("estate", "development+mortgage", True),  # 420 of 1030
        ("top", "largest 2", True),  # 110 + 100 of 400: the third has become the first
    ]
    assert found.limits[1].after is not None
    assert (str(found.limits[1].after.ratio), str(found.limits[1].after.headroom)) == ("0.525000", "-10.00")


def test_what_is_of_no_known_industry_is_held_to_no_limit() -> None:
    assert ask("900", QUARTER, industry="unknown").limits == ()
    assert ask("900", msgspec.structs.replace(QUARTER, dimension="group")).limits == ()


def test_a_share_of_the_whole_book_is_never_reached_by_lending() -> None:
    whole = ask("900", msgspec.structs.replace(QUARTER, figure=Decimal(1))).limits[0]
    assert whole.after is not None
    assert (whole.after.headroom, whole.after.broken) == (None, False)
    with pytest.raises(ValueError, match="figure of quarter is 0"):
        msgspec.structs.replace(QUARTER, figure=Decimal(0))


def test_limits_of_the_policy(policy: Policy) -> None:
    found = {
        one.name.removeprefix("detectors.industry_concentration."): one
        for one in industry_limits(policy.detectors.industry_concentration)
    }
    assert {name: (one.base, str(one.figure), one.level, one.op) for name, one in found.items()} == {
        "share.observation": ("book", "0.15", "observation", ">="),
        "share.warning": ("book", "0.20", "warning", ">="),
        "share.control": ("book", "0.25", "control", ">="),
        "net_capital.observation": ("net_capital", "1.00", "observation", ">="),
        "net_capital.warning": ("net_capital", "1.50", "warning", ">="),
        "net_capital.control": ("net_capital", "2.00", "control", ">="),
    }
    told = ask("66.67", *found.values(), capital=Capital(net=Decimal(200)))
    assert told.breaks == ("detectors.industry_concentration.share.control",)
    assert [one.before.broken for one in told.limits if one.before] == [True, True, True, False, False, False]
    assert msgspec.json.decode(msgspec.json.encode(told))["breaks"] == list(told.breaks)


def test_all_limits_of_the_policy(policy: Policy) -> None:
    found = {one.name.removeprefix("detectors."): one for one in policy_limits(policy)}
    assert len(found) == 3 * (2 + 2 + 5)
    control = {name.removesuffix(".control"): one for name, one in found.items() if name.endswith(".control")}
    told = {
        name: (one.dimension, one.base, one.op, str(one.figure), one.members, one.largest)
        for name, one in control.items()
        if not name.startswith("industry")
    }
    assert told == {
        "real_estate_concentration.total": (("real_estate", "book", ">", "0.225", ("development", "mortgage"), None)),
        "real_estate_concentration.mortgage": ("real_estate", "book", ">", "0.175", ("mortgage",), None),
        "name_concentration.single": ("borrower", "net_capital", ">=", "0.10", None, None),
        "name_concentration.single_tier1": ("borrower", "tier1_capital", ">", "0.15", None, None),
        "name_concentration.group": ("group", "net_capital", ">=", "0.15", None, None),
        "name_concentration.group_tier1": ("group", "tier1_capital", ">", "0.20", None, None),
        "name_concentration.top_ten": ("borrower", "net_capital", ">=", "0.50", None, 10),
    }


def test_a_regional_allowance_is_added_to_control_and_a_rule_that_is_off_sets_no_limit(policy: Policy) -> None:
    rules = policy.detectors
    estate = rules.real_estate_concentration
    assert estate.total is not None
    assert estate.total.allowance is not None
    allowance = msgspec.structs.replace(estate.total.allowance, value=Decimal("0.025"))
    total = msgspec.structs.replace(estate.total, allowance=allowance)
    names = msgspec.structs.replace(rules.name_concentration, mode="off")
    detectors = msgspec.structs.replace(
        rules, name_concentration=names, real_estate_concentration=msgspec.structs.replace(estate, total=total)
    )
    found = policy_limits(msgspec.structs.replace(policy, detectors=detectors))
    figures = {one.name: str(one.figure) for one in found if ".real_estate_concentration.total" in one.name}
    assert list(figures.values()) == ["0.18", "0.2025", "0.250"]
    assert not any("name_concentration" in one.name for one in found)


def test_a_limit_that_asks_for_growth_counts_only_with_it() -> None:
    limit = BookLimit(
        name="cre",
        dimension="real_estate",
        base="net_capital",
        figure=Decimal(3),
        members=("development", "mortgage"),
        growth=Decimal("0.5"),
    )
    book = sums(dimensions={"real_estate": RunningBook(decimals(development=200, mortgage=90))})

    def asked(amount: str, **grown_from: int) -> Any:
        history = MonthlyHistory(grown_from={"real_estate": decimals(**grown_from)})
        return ask(
            amount, limit, book=book, real_estate="mortgage", history=history, capital=Capital(net=Decimal(100))
        ).limits[0]

    # 290 of a limit of 300; it must also have grown to 1.5 times what it was: to 300, 330 or nothing known.
    grown = asked("10", development=150, mortgage=50)
    assert (str(grown.before.headroom), grown.before.broken, grown.breaks) == ("10.00", False, True)
    slow = asked("39.99", development=170, mortgage=50)
    assert (str(slow.before.headroom), str(slow.after.ratio), slow.breaks) == ("40.00", "3.299900", False)
    assert asked("40", development=170, mortgage=50).breaks
    for unknown in (asked("1000", development=150), asked("1000", development=0, mortgage=0)):
        assert (unknown.before.headroom, unknown.breaks) == (None, False)


# --------------------------------------------------------------- the day a limit breaks


def test_a_steady_pace_gives_one_day() -> None:
    found = ask("50", QUARTER, history=growing()).limits[0]
    assert found.date_before is not None
    assert found.date_after is not None
    # Each month 0.25 · 10 - 10 = -7.5 of what is left: 50 last 6.67 months, 12.5 last 1.67.
    assert (str(found.date_before.pace), found.date_before.changes) == ("7.50", 6)
    assert found.date_before.expected == DAY + timedelta(days=203)
    assert found.date_before.earliest == found.date_before.latest == found.date_before.expected
    assert found.date_after.expected == DAY + timedelta(days=51)


def test_an_uneven_pace_gives_an_interval() -> None:
    left = [Fraction(80)]
    for used in (4, 6, 4, 6, 4, 6):
        left.append(left[-1] - used)
    found = project(Fraction(50), left, DAY)
    # m = 5, s² = 1.2, n = 6, t = 1.476 of five degrees: 50 - 5h = ± 1.617 √(h + h²/6) at h = 8.530 and 11.931.
    assert (found.outcome, str(found.pace), found.changes, str(found.confidence)) == ("projected", "5.00", 6, "0.80")
    assert found.expected == DAY + timedelta(days=305)
    assert found.earliest == DAY + timedelta(days=260)
    assert found.latest == DAY + timedelta(days=364)
    wider = project(Fraction(50), left, DAY, Decimal("0.95"))
    assert wider.earliest is not None
    assert wider.latest is not None
    assert wider.earliest < found.earliest < found.expected < found.latest < wider.latest


def test_a_pace_that_is_hardly_one_has_no_latest_day() -> None:
    left = [Fraction(100)]
    for used in (30, -25, 30, -25, 30, -25):
        left.append(left[-1] - used)
    found = project(Fraction(20), left, DAY)
    assert (found.outcome, str(found.pace), found.latest) == ("projected", "2.50", None)
    assert found.earliest is not None
    assert found.expected is not None
    assert DAY < found.earliest < found.expected


@pytest.mark.parametrize(
    ("now", "left", "outcome"),
    [
        (0, range(60, 0, -5), "already_reached"),
        (-5, range(60, 0, -5), "already_reached"),
        (50, [50] * 8, "flat_or_falling"),
        (50, range(10, 60, 5), "flat_or_falling"),
        (50, range(80, 50, -5), "history_too_short"),
        (50, [], "history_too_short"),
        (50, range(107, 100, -1), "projected"),
        (120, range(107, 100, -1), "projected"),
        (121, range(107, 100, -1), "beyond_horizon"),
    ],
)
def test_there_is_a_day_only_where_there_is_one(now: int, left: Any, outcome: str) -> None:
    found = project(Fraction(now), [Fraction(one) for one in left], DAY)
    assert found.outcome == outcome
    assert (found.expected is None) == (outcome != "projected")
    assert (found.earliest is None) == (outcome != "projected")


def test_history_as_far_back_as_all_its_parts_are_known() -> None:
    short = MonthlyHistory(
        totals=growing(12).totals, exposures={"industry": {"C": growing(FEWEST_CHANGES).exposures["industry"]["C"]}}
    )
    assert [
        found.date_before.outcome
        for history in (growing(FEWEST_CHANGES + 1), short, MonthlyHistory())
        for found in ask("1", QUARTER, history=history).limits
        if found.date_before
    ] == ["projected", "history_too_short", "history_too_short"]
    assert ask("1", QUARTER).limits[0].date_before is None


def test_capital_is_taken_to_stay_as_it_is() -> None:
    limit = BookLimit(name="net", dimension="industry", base="net_capital", figure=Decimal("1.5"))
    found = ask("20", limit, history=growing(), capital=Capital(net=Decimal(160))).limits[0]
    assert found.date_before is not None
    assert found.date_after is not None
    # 240 - 200 = 40 left at 10 a month, and 20 with the loan.
    assert found.date_before.expected == DAY + timedelta(days=122)
    assert found.date_after.expected == DAY + timedelta(days=61)


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 6, 11, 35])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99])
def test_student(freedom: int, confidence: float) -> None:
    assert student(confidence, freedom) == pytest.approx(student_t.ppf((1 + confidence) / 2, freedom), rel=1e-10)
