"""industry_concentration: growth of an industry, and HHI of the book, as ways to a level."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.credit.limits import industry_lines, next_book_level, next_level
from models.credit.month_ends import GROWTH_MONTHS, MonthEnds, month_before
from models.events import CapitalPosition
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory, parse_policy
from models.risk_warning import RiskWarning, warning_id
from tests.books import altered, capital, merged
from tests.data import ROOT
from tests.make import at, loan

RULE = "detectors.industry_concentration"
CENT = Decimal("0.01")
OTHERS = "ABCDEFGHIJ"


def others(total: str, day: str = "2025-01-02") -> list[Any]:
    """Twenty loans over ten industries that are not K."""
    start, whole = at(f"{day} 09:00"), Decimal(total)
    part = (whole / 20).quantize(CENT)
    amounts = [part] * 19 + [whole - 19 * part]
    return [
        loan(f"o{n:02d}", start + timedelta(minutes=n), str(amount), OTHERS[n % 10]) for n, amount in enumerate(amounts)
    ]


def k(event_id: str, day: str, amount: str, kind: str = "disbursed", industry: str = "K70") -> Any:
    """Of one loan, in real estate unless told otherwise."""
    when = day if ":" in day else f"{day} 12:00"
    return loan(event_id, when, amount, industry, kind=kind, loan_id=f"L-{industry}", borrower_id=f"B-{industry}")


def run(policy: Policy, events: Sequence[Any]) -> dict[str, list[RiskWarning]]:
    """The rule's warnings by subject, by the time of their last revision; states go through their bytes."""
    pipeline = LocalPipeline(PolicyHistory(policy))
    for event in events:
        pipeline.feed("capital" if isinstance(event, CapitalPosition) else "loans", event)
        pipeline.restart()
    pipeline.finish()
    assert not pipeline.refusals
    found: dict[str, list[RiskWarning]] = {}
    for one in sorted(pipeline.warnings.values(), key=lambda one: one.event_time):
        if one.detector == "industry_concentration":
            found.setdefault(one.subject, []).append(one)
    return found


def of_k(events: Sequence[Any], policy: Policy | None = None) -> list[RiskWarning]:
    found = run(policy or altered("cn.toml"), events)
    assert set(found) <= {"industry:BANK1:K"}
    return found.get("industry:BANK1:K", [])


def severities(found: Sequence[RiskWarning]) -> list[str]:
    return [one.severity for one in found]


# --- growth: 30, 50 and 100 % over 12 months, from 5 % of the book on, left 1 % below ---


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ("29999.99", None),
        ("30000", "low"),
        ("49999.99", "low"),
        ("50000", "high"),
        ("99999.99", "high"),
        ("100000", "critical"),
        ("100000.01", "critical"),
    ],
)
def test_levels_of_growth_at_their_lines(more: str, severity: str | None) -> None:
    found = of_k([*others("1850000"), k("k1", "2025-03-15", "100000"), k("k2", "2026-03-10", more)])
    assert severities(found) == ([severity] if severity else [])


@pytest.mark.parametrize(("beside", "severity"), [("-0.01", "critical"), ("0", "critical"), ("0.01", None)])
def test_growth_counts_from_a_share_of_the_book_on(beside: str, severity: str | None) -> None:
    """50,000 become 100,000: exactly 5 % of 2,000,000."""
    book = others(str(Decimal(1900000) + Decimal(beside)))
    found = of_k([*book, k("k1", "2025-03-15", "50000"), k("k2", "2026-03-10", "50000")])
    assert severities(found) == ([severity] if severity else [])


def test_what_a_warning_of_growth_says() -> None:
    book = [*others("1850000"), k("k1", "2025-03-15", "100000"), k("k2", "2026-03-10", "50000.50")]
    (warning,) = of_k(book)
    assert (warning.event_ids, warning.event_count, warning.departments) == (("k2",), 1, ("credit",))
    assert warning.warning_id == warning_id("industry_concentration", 1, "industry:BANK1:K", "2026-03-10")
    (reason,) = warning.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == ("growth", "0.500005", "0.50", "growth")
    assert reason.text_en == (
        "Real estate grew by 0.500005, from 100000 at the end of 2025-03 to 150000.50, "
        "at or above the warning level of 0.50."
    )
    assert reason.text_zh == "房地产业贷款自2025-03末的100000增至150000.50，增长0.500005，达到预警线0.50。"


def test_reasons_in_their_order_as_far_as_they_reach_the_level() -> None:
    """300,000 are 15 % of 2,000,000, once the net capital, and 30 % more than a year ago: three times observation."""
    start = [capital("300000", "200000", date(2025, 1, 1)), *others("1700000")]
    grown, more = k("k2", "2026-03-10", "69230.77"), k("k3", "2026-03-11", "125000")
    # K was 11.95 % then, below all lines.
    (low,) = [one for one in of_k([*start, k("k1", "2025-03-15", "230769.23"), grown])]
    assert [one.code for one in low.reasons] == ["share_of_book", "times_net_capital", "growth"]
    assert [one.observed for one in low.reasons] == ["0.150000", "1.000000", "0.300000"]
    assert (
        low.reasons[1].text_en
        == "Real estate is 1.000000 times net capital, at or above the observation level of 1.00."
    )
    # 425,000 are 20 % of 2,125,000 and have grown by 84 %, but are 1.42 times net capital: that level is not reached.
    (high,) = of_k([*start, k("k1", "2025-03-15", "230769.23"), grown, more])
    assert (high.severity, high.revision) == ("high", 2)
    assert [one.code for one in high.reasons] == ["share_of_book", "growth"]
    assert high.reasons[1].threshold == "0.50"


def test_a_held_level_of_growth_is_left_one_percent_below_its_line() -> None:
    """128,700 is 1.30 x 0.99 times what it was."""
    start = [*others("1850000"), k("k1", "2025-03-15", "100000"), k("k2", "2026-03-10", "30000")]
    paid, again = k("k3", "2026-03-11", "1300", "repaid"), k("k4", "2026-03-12", "1300")
    assert [one.revision for one in of_k([*start, paid, again])] == [1]
    cent = [k("k5", "2026-03-11 13:00", "0.01", "repaid"), k("k6", "2026-03-12 13:00", "0.01")]
    found = of_k([*start, paid, cent[0], again, cent[1]])
    assert [(one.event_ids, one.revision) for one in found] == [(("k2",), 1), (("k6",), 1)]
    assert found[1].warning_id == warning_id("industry_concentration", 1, "industry:BANK1:K", "2026-03-12")


@pytest.mark.parametrize(("beside", "told"), [("0", 1), ("0.01", 2)])
def test_a_held_level_of_growth_is_left_below_its_share(beside: str, told: int) -> None:
    """100,000 are exactly 4 % of 2,500,000: `share_from` less the release."""
    start = [*others("1900000"), k("k1", "2025-03-15", "50000"), k("k2", "2026-03-10", "50000")]
    much = str(Decimal(500000) + Decimal(beside))
    # New in the book, so that the other industry has nothing to have grown from, but a share of 20 % of its own.
    away = [k("m1", "2026-03-11", much, industry=""), k("m2", "2026-03-12", much, "repaid", industry="")]
    assert severities(of_k([*start, *away])) == ["critical"] * told


@pytest.mark.parametrize(("elsewhere", "told"), [("0.86", ["k2"]), ("0.87", ["k2", "k4"])])
def test_a_level_reached_by_growth_is_kept_by_share(elsewhere: str, told: list[str]) -> None:
    """140,000 grew by 40 %; a year later they have not grown, but 14 % of the book keep the level of 15 %."""
    start = [*others("860000"), k("k1", "2025-03-15", "100000"), k("k2", "2026-03-10", "40000")]
    later = [
        k("k3", "2027-03-10", "0.14"),
        k("m", "2027-03-11", elsewhere, industry=""),
        k("k4", "2027-03-12", "12000"),
    ]
    found = of_k([*start, *later])
    assert [one.event_ids[0] for one in found] == told
    assert [one.reasons[0].code for one in found] == ["growth", "share_of_book"][: len(told)]


def test_without_history_or_after_nothing_there_is_no_growth() -> None:
    assert not of_k([*others("1850000"), k("k1", "2025-04-01 00:00", "100000"), k("k2", "2026-03-31 23:59", "100000")])
    paid_off = [k("k1", "2025-01-15", "100000"), k("k2", "2025-03-31", "100000", "repaid")]
    regrown = [k("k3", "2025-04-02", "50000"), k("k4", "2026-03-10", "100000")]
    assert not of_k([*others("1850000"), *paid_off, *regrown])
    # By April there was something.
    assert severities(of_k([*others("1850000"), *paid_off, *regrown, k("k5", "2026-04-10", "0.01")])) == ["critical"]


def test_an_event_elsewhere_in_a_new_month_is_the_occasion() -> None:
    history = [
        k("k1", "2025-01-15", "120000"),
        k("k2", "2025-02-15", "20000", "repaid"),
        k("k3", "2025-06-15", "30000"),
    ]
    elsewhere = [k("a1", "2026-01-31 23:59", "1", industry=""), k("a2", "2026-02-01 00:00", "1", industry="")]
    assert not of_k([*others("1850000"), *history, elsewhere[0]])
    assert [one.event_ids for one in of_k([*others("1850000"), *history, *elsewhere])] == [("a2",)]


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ("2026-01-31 23:59", "2026-02-28 12:00", True),  # of January, at its end in the bank's zone
        ("2026-02-01 00:00", "2026-02-28 12:00", False),
        ("2026-02-28 23:59", "2026-03-31 23:59", True),
        ("2026-03-01 00:00", "2026-03-31 23:59", False),
        ("2026-02-28 23:59", "2026-03-01 00:00", True),
        ("2026-03-31 12:00", "2026-04-30 12:00", True),
    ],
)
def test_the_ends_of_months(then: str, now: str, told: bool) -> None:
    monthly = altered("cn.toml", (f"{RULE}.growth", "value = 12", "value = 1"))
    found = of_k([*others("1850000"), k("k1", then, "100000"), k("k2", now, "40000")], monthly)
    assert severities(found) == (["low"] if told else [])


def test_what_comes_late_is_held_against_the_month_of_the_book() -> None:
    """At the end of January 2024 it were a growth of 158 %: but 129,000 is what they are today."""
    history = [k("k1", "2024-01-15", "50000"), k("k2", "2025-01-15", "50000"), k("k3", "2026-03-10", "29000")]
    start = [*others("1850000", "2024-01-02"), *history, k("m0", "2026-03-11", "1", industry="")]
    assert not [one for one in of_k([*start, loan("late", "2025-02-10 12:00", "10", "")]) if one.late]
    # What is late in the industry itself is growth as far as it came after the month.
    for day, expected in (("2025-03-31 23:59", []), ("2025-04-01 00:00", ["low"])):
        found = of_k([*start, loan("late", day, "1000", "K70")])
        assert severities([one for one in found if one.late]) == expected


def test_a_policy_without_growth_and_hhi_does_not_judge_them() -> None:
    grown = [*others("1850000"), k("k1", "2025-03-15", "100000"), k("k2", "2026-03-10", "100000")]
    assert not run(without("growth", "hhi"), grown)
    assert not of_book(hhi_book((44, 15, 9, 9, 8, 8, 7), "unknown"), without("growth", "hhi"))
    assert severities(of_k(grown, without("hhi"))) == ["critical"]


# --- HHI: 0.15, 0.18 and 0.25 of the book, left 1 % below ---


def without(*parts: str) -> Policy:
    """The Chinese policy without these tables of the rule."""
    text = (ROOT / "deploy" / "policy" / "cn.toml").read_text(encoding="utf-8")
    kept = [table for table in text.split("\n[") if not table.startswith(tuple(f"{RULE}.{one}" for one in parts))]
    return parse_policy("\n[".join(kept), "cn.toml")


def hhi_book(hundredths: Sequence[int], first: str = "K", beside: str = "0", whole: int = 2_000_000) -> list[Any]:
    """Twenty loans whose industries hold these hundredths, largest first, which comes last and alone in its industry.

    Args:
        first: its industry.
        beside: what it is less or more.
    """
    small: list[tuple[str, Decimal]] = []
    for industry, part in zip("ABCDEFGHI", hundredths[1:], strict=False):
        small.append((industry, Decimal(part * whole // 100)))
    extra = 19 - len(small)
    industry, exposure = small[0]
    small[0] = (industry, exposure - extra * 1000)
    small += [(industry, Decimal(1000))] * extra
    start = at("2026-03-02 09:00")
    events = [loan(f"b{n:02d}", start + timedelta(minutes=n), str(one), code) for n, (code, one) in enumerate(small)]
    last = Decimal(hundredths[0] * whole // 100) + Decimal(beside)
    return [*events, k("last", "2026-03-03", str(last), industry="" if first == "unknown" else first)]


def of_book(events: Sequence[Any], policy: Policy | None = None) -> list[RiskWarning]:
    return run(policy or altered("cn.toml"), events).get("book:BANK1", [])


@pytest.mark.parametrize("first", ["K", "unknown"])
@pytest.mark.parametrize(
    ("hundredths", "below", "level"),
    [
        ((22, 14, 13, 13, 13, 13, 12), None, "low"),  # squares: 1500 of 10,000
        ((32, 13, 12, 11, 11, 11, 10), "low", "high"),  # 1800
        ((44, 15, 9, 9, 8, 8, 7), "high", "critical"),  # 2500
    ],
)
def test_levels_of_hhi_at_their_lines(hundredths: tuple[int, ...], below: str | None, level: str, first: str) -> None:
    assert (sum(hundredths), sum(one * one for one in hundredths)) in {(100, 1500), (100, 1800), (100, 2500)}
    for beside, expected in (("-0.01", below), ("0", level), ("0.01", level)):
        assert severities(of_book(hhi_book(hundredths, first, beside))) == ([expected] if expected else [])


def test_what_a_warning_of_hhi_says() -> None:
    (warning,) = of_book(hhi_book((32, 13, 12, 11, 11, 11, 10), "unknown"))
    assert (warning.severity, warning.event_ids, warning.event_count) == ("high", ("last",), 20)
    assert warning.warning_id == warning_id("industry_concentration", 1, "book:BANK1", "hhi|2026-03-03")
    assert warning.window.start == at("2026-03-03 00:00")
    assert "suspend_approvals" in warning.measures
    (reason,) = warning.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == ("hhi", "0.180000", "0.18", "HHI")
    assert reason.text_en == (
        "The book's HHI over its industries is 0.180000, at or above the warning level of 0.18. "
        "CR4 0.680000, effective number 5.555556. Largest: Unknown industry 0.320000, "
        "Agriculture, forestry, animal husbandry and fishery 0.130000, Mining 0.120000."
    )
    assert reason.text_zh == (
        "全部贷款按行业的HHI为0.180000，达到预警线0.18。CR4 0.680000，有效行业数5.555556。"
        "占比最大：行业不明0.320000、农、林、牧、渔业0.130000、采矿业0.120000。"
    )


def test_a_book_of_one_industry_is_told_as_it_is() -> None:
    start = at("2026-03-02 09:00")
    (warning,) = of_book([loan(f"u{n}", start + timedelta(minutes=n), "100000", "") for n in range(20)])
    assert warning.severity == "critical"
    assert warning.reasons[0].text_en.endswith(
        "CR4 1.000000, effective number 1.000000. Largest: Unknown industry 1.000000."
    )


def test_a_rise_of_hhi_is_one_episode() -> None:
    book = hhi_book((22, 14, 13, 13, 13, 13, 12))
    (warning,) = of_book([*book, k("k2", "2026-03-05", "1000000", industry="K")])
    assert (warning.severity, warning.revision, warning.event_ids) == ("critical", 2, ("k2",))
    assert warning.warning_id == warning_id("industry_concentration", 1, "book:BANK1", "hhi|2026-03-03")


def test_a_held_level_of_hhi_is_left_one_percent_below_its_line() -> None:
    """With 36 % of the book HHI is 0.1980 = 0.20 x 0.99."""
    policy = altered(
        "cn.toml",
        (f"{RULE}.hhi", 'observation = { value = "0.15"', 'observation = { value = "0.20"'),
        (f"{RULE}.hhi", 'warning = { value = "0.18"', 'warning = { value = "0.22"'),
    )
    book = hhi_book((36, 11, 11, 11, 11, 10, 10), beside="20000")
    paid, again = k("k2", "2026-03-04", "20000", "repaid", "K"), k("k3", "2026-03-05", "20000", industry="K")
    assert [one.revision for one in of_book([*book, paid, again], policy)] == [1]
    cent = k("k4", "2026-03-04 13:00", "0.01", "repaid", "K")
    found = of_book([*book, paid, cent, again], policy)
    assert [one.event_ids for one in found] == [("last",), ("k3",)]
    assert found[1].warning_id == warning_id("industry_concentration", 1, "book:BANK1", "hhi|2026-03-05")


def test_where_a_book_is_too_small_levels_stand_as_they_are() -> None:
    book = hhi_book((37, 7, 7, 7, 7, 7, 7, 7, 7, 7))
    assert not of_book(book[1:])  # nineteen loans
    # The largest is paid back: nineteen loans are not judged, and the level is held when it comes back.
    gone, back = k("k2", "2026-03-04", "740000", "repaid", "K"), k("k3", "2026-03-05", "740000", industry="K")
    assert [one.event_ids for one in of_book([*book, gone, back])] == [("last",)]
    # With another loan in the book it is judged meanwhile, and left.
    more = k("m", "2026-03-04 11:00", "1000", industry="C")
    assert [one.event_ids for one in of_book([*book, more, gone, back])] == [("last",), ("k3",)]


def test_the_modes_of_the_rule() -> None:
    book = hhi_book((44, 15, 9, 9, 8, 8, 7))
    assert not of_book(book, altered("cn.toml", (RULE, 'mode = "live"', 'mode = "off"')))
    assert [one.mode for one in of_book(book, altered("cn.toml", (RULE, 'mode = "live"', 'mode = "shadow"')))] == [
        "shadow"
    ]


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_any_number_of_partitions_gives_the_same(policies: PolicyHistory, partitions: int) -> None:
    start = at("2025-01-02 09:00")
    events = [
        loan(f"e{n:03d}", start + timedelta(hours=60 * n), str(40_000 + 37 * n % 9000), "KKABCDEFGH"[n * n % 10])
        for n in range(200)
    ]
    expected = merged(policies, events, 1, 0)
    codes = {reason.code for one in expected.warnings.values() for reason in one.reasons}
    assert codes >= {"share_of_book", "growth", "hhi"}
    for seed in range(2):
        found = merged(policies, events, partitions, seed, restarts=True)
        assert (found.told(), found.book()) == (expected.told(), expected.book())


# --- the figures alone ---


def test_month_ends_of_any_number_of_months() -> None:
    ends = MonthEnds()
    for day, amount in (
        (date(2023, 1, 31), 100),
        (date(2023, 2, 28), 10),
        (date(2025, 12, 1), 5),
        (date(2026, 1, 31), 1),
    ):
        ends.add(day, Decimal(amount))
    found = {months: ends.before(date(2026, 1, 31), months) for months in (1, 2, 34, 35, 36)}
    assert found == {1: 115, 2: 110, 34: 110, 35: 110, 36: 100}
    assert ends.outgrown(date(2026, 1, 1), Decimal("0.16"), months=36) == ("2023-01", Decimal(100))
    assert ends.outgrown(date(2026, 1, 1), Decimal("0.1600001"), months=36) is None
    assert month_before(date(2026, 1, 1), 1) == "2025-12"
    # March 2026 looks back to March 2023 at most, where February's end still holds.
    ends.add(date(2026, 3, 1), Decimal(1))
    assert ends.before(date(2026, 3, 31)) == 110
    assert min(ends.closings) == 2023 * 12 + 1
    for months in (0, GROWTH_MONTHS + 1):
        with pytest.raises(ValueError, match=f"known for 1 to 36 months before, not for {months}"):
            ends.before(date(2026, 3, 31), months)


def test_a_change_that_comes_late_changes_the_closings_since() -> None:
    ends = MonthEnds()
    ends.add(date(2025, 5, 3), Decimal(10))
    ends.add(date(2025, 8, 3), Decimal(10))
    ends.add(date(2025, 3, 3), Decimal(5))
    ends.add(date(2025, 6, 30), Decimal("-2"))
    assert [ends.before(date(2025, 9, 1), months) for months in (1, 2, 3, 4, 6, 7)] == [23, 13, 13, 15, 5, None]
    assert ends.now == 23


def test_the_lines_of_an_industry() -> None:
    rule = altered("cn.toml").detectors.industry_concentration
    lines = industry_lines(rule, Decimal(1000), None)
    assert lines.reached["control"].by_capital(Decimal(10**9)) is False
    assert next_level(None, Decimal(75), Decimal(50), lines) == "warning"
    assert next_level(None, Decimal(75), Decimal(0), lines) is None
    assert next_level(None, Decimal(75), None, lines) is None
    assert next_level("control", Decimal(75), Decimal(50), lines) == "warning"
    assert next_level("warning", Decimal("74.25"), Decimal(50), lines) == "warning"
    assert next_level("warning", Decimal("74.24"), Decimal(50), lines) == "observation"


def test_the_level_of_a_book() -> None:
    figures = altered("cn.toml").detectors.industry_concentration.hhi
    assert figures is not None
    levels = [
        next_book_level(figures, held, Decimal(squares), Decimal(1000), Decimal("0.01"))
        for held, squares in (
            (None, "149999.99"),
            (None, 150000),
            ("observation", 148500),
            ("observation", "148499.99"),
        )
    ]
    assert levels == [None, "observation", "observation", None]
    assert next_book_level(figures, "control", Decimal(200000), Decimal(1000), Decimal("0.01")) == "warning"
