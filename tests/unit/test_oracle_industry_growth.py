"""The oracle on growing industries and on the HHI of a book: exactly at the line and around it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent
from models.policy import Figure, IndustryGrowth, LevelFigures, Policy, PolicyHistory
from models.risk_warning import warning_id
from tests.make import at, loan

INDUSTRY = "industry_concentration"
Row = tuple[str, str, str]
# Shares that nothing reaches: the levels are those of growth, capital or the HHI alone.
HIGH = ("1.7", "1.8", "1.9")


def figure(value: str) -> Figure:
    return Figure(value=Decimal(value), unit="", source="a test")


def levels(values: Sequence[str]) -> LevelFigures:
    observation, warning, control = (figure(one) for one in values)
    return LevelFigures(observation=observation, warning=warning, control=control)


def growing(
    months: str = "12", figures: Sequence[str] = ("0.30", "0.50", "1.00"), share_from: str = "0.05"
) -> IndustryGrowth:
    return IndustryGrowth(months=figure(months), figures=levels(figures), share_from=figure(share_from))


def ruled(
    policy: Policy,
    growth: IndustryGrowth | None = None,
    hhi: Sequence[str] = (),
    *,
    share: Sequence[str] = HIGH,
    least: str = "1",
    loans: str = "1",
    release: str = "0.01",
    mode: Any = "live",
) -> Policy:
    rule = replace(
        policy.detectors.industry_concentration,
        mode=mode,
        growth=growth,
        hhi=levels(hhi) if hhi else None,
        share=levels(share),
        release=figure(release),
        minimum_book=figure(least),
        minimum_loans=figure(loans),
    )
    return replace(policy, detectors=replace(policy.detectors, industry_concentration=rule))


def valid(policy: Policy, name: str, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=name, valid_from=at(f"{day} 00:00")))


def judge(
    policy: Policy | PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()
) -> pl.DataFrame:
    frames = {"loans": oracle.from_events(events), "capital": oracle.from_events(capital)}
    history = policy if isinstance(policy, PolicyHistory) else PolicyHistory(policy)
    return oracle.warnings(**frames, policies=history).filter(pl.col("detector") == INDUSTRY)


def found(
    policy: Policy | PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()
) -> list[Row]:
    return judge(policy, events, capital).select("subject", "anchor", "severity").sort(pl.all()).rows()


def anchors(policy: Policy | PolicyHistory, events: Sequence[LoanEvent]) -> list[str]:
    return [row[1] for row in found(policy, events)]


def moves(industry: str, *steps: tuple[str, str], **fields: Any) -> list[LoanEvent]:
    """(day or instant, signed amount) steps of one loan; what is negative is repaid."""
    name = fields.pop("name", f"of{industry}")
    values = {"borrower_id": f"B-{name}", "loan_id": f"L-{name}"} | fields
    events = []
    for i, (when, amount) in enumerate(steps):
        kind = "repaid" if amount.startswith("-") else "disbursed"
        when = when if " " in when else f"{when} 10:00"
        events.append(loan(f"{name}-{i}", when, amount.lstrip("-"), industry, kind=kind, **values))
    return events


def base(amount: str, when: str = "2024-01-01") -> list[LoanEvent]:
    """What the industry under test is a part of; of no known industry, which is never warned of."""
    return moves("", (when, amount), name="base")


def position(net: str, as_of: str = "2026-01-01") -> CapitalPosition:
    amount = Decimal(net)
    return CapitalPosition(entity="BANK1", as_of=date.fromisoformat(as_of), net_capital=amount, tier1_capital=amount)


# ------------------------------------------------------------------------ growth


@pytest.mark.parametrize(
    ("now", "severity"),
    [
        ("129999.99", None), ("130000", "low"), ("149999.99", "low"), ("150000", "high"), ("199999.99", "high"),
        ("200000", "critical"),
    ],
)  # fmt: skip
def test_a_level_is_reached_at_its_growth_and_not_a_cent_below(policy: Policy, now: str, severity: str | None) -> None:
    drawn = moves("K", ("2025-03-31", "100000"), ("2026-03-02", str(Decimal(now) - 100_000)))
    rows = found(ruled(policy, growing()), [*base("1000000"), *drawn])
    assert rows == ([("industry:BANK1:K", "2026-03-02", severity)] if severity else [])


def test_a_warning_says_by_how_much_it_grew(policy: Policy) -> None:
    drawn = moves("K", ("2025-03-31", "90000"), ("2026-03-02", "40000"))
    row = judge(ruled(policy, growing()), [*base("1000000"), *drawn]).row(0, named=True)
    assert row["warning_id"] == warning_id(INDUSTRY, 1, "industry:BANK1:K", "2026-03-02")
    assert (row["departments"], row["observed"]) == (["credit"], "0.444444")
    assert (row["event_time"], row["window_end"]) == (at("2026-03-02 10:00"), at("2026-03-03 00:00"))


@pytest.mark.parametrize(
    ("first", "warned"),
    [("2025-03-31 23:59", True), ("2025-04-01 00:00", False), ("2024-02-10 10:00", True), ("2025-03-01 00:00", True)],
)
def test_growth_is_from_the_end_of_the_month_in_the_banks_zone(policy: Policy, first: str, warned: bool) -> None:
    # What came in April 2025 is not known by the end of March 2025: there is nothing to have grown from.
    drawn = moves("K", (first, "100000"), ("2026-03-02 10:00", "30000"))
    assert anchors(ruled(policy, growing()), [*base("1000000"), *drawn]) == (["2026-03-02"] if warned else [])


def test_the_month_of_the_event_is_the_banks_too(policy: Policy) -> None:
    steps = moves("K", ("2025-03-10", "100000"), ("2025-04-10", "30000"))
    last, first = (moves("", (when, "1"), name="tick") for when in ("2026-03-31 23:59", "2026-04-01 00:00"))
    assert anchors(ruled(policy, growing()), [*base("1000000"), *steps, *last]) == ["2026-03-31"]
    assert anchors(ruled(policy, growing()), [*base("1000000"), *steps, *first]) == []


def test_all_of_a_month_counts_as_it_stood_at_its_end(policy: Policy) -> None:
    steps = [("2025-03-01", "100000"), ("2025-03-30", "20000"), ("2026-03-02", "35999.99"), ("2026-03-03", "0.01")]
    assert anchors(ruled(policy, growing()), [*base("1000000"), *moves("K", *steps)]) == ["2026-03-03"]
    repaid = moves("K", ("2025-03-01", "100000"), ("2025-03-30", "-20000"), ("2026-03-02", "24000"))
    assert anchors(ruled(policy, growing()), [*base("1000000"), *repaid]) == ["2026-03-02"]


def test_an_industry_that_had_nothing_then_has_not_grown(policy: Policy) -> None:
    gone = moves("K", ("2025-01-05", "100000"), ("2025-02-05", "-100000"), ("2026-03-02", "900000"))
    assert found(ruled(policy, growing()), [*base("1000000"), *gone]) == []
    a_cent = moves("K", ("2025-01-05", "100000"), ("2025-02-05", "-99999.99"), ("2026-03-02", "900000"))
    assert anchors(ruled(policy, growing()), [*base("1000000"), *a_cent]) == ["2026-03-02"]


@pytest.mark.parametrize(("others", "warned"), [("950000", True), ("950000.01", False)])
def test_growth_counts_from_a_share_of_the_book_on(policy: Policy, others: str, warned: bool) -> None:
    drawn = moves("K", ("2025-03-31", "10000"), ("2026-03-02", "40000"))  # 50,000 of 1,000,000
    assert bool(found(ruled(policy, growing()), [*base(others), *drawn])) is warned


def test_growth_alone_is_enough_where_every_share_is_far_away(policy: Policy) -> None:
    """Never more than 6 % of a book, at any time, where no share reaches a level."""
    drawn = moves("K", ("2025-03-31", "20000"), ("2026-03-02", "40000"))
    others = moves("J", ("2024-01-01", "470000")) + moves("L", ("2024-01-01", "470000"))
    assert found(ruled(policy, growing()), [*others, *drawn], [position("9000000000")]) == [
        ("industry:BANK1:K", "2026-03-02", "critical")
    ]


def test_the_unknown_industry_may_grow_as_it_likes_and_entities_grow_apart(policy: Policy) -> None:
    policy = ruled(policy, growing())
    assert found(policy, moves("", ("2025-03-31", "100"), ("2026-03-02", "900"))) == []
    ours = moves("K", ("2025-03-31", "100000"), ("2026-03-02", "30000"))
    theirs = moves("K", ("2025-03-31", "100000"), entity="BANK2", name="theirs")
    tick = moves("", ("2026-03-05", "1"), entity="BANK2", name="tick")
    assert found(policy, [*base("1000000"), *ours, *theirs, *tick]) == [("industry:BANK1:K", "2026-03-02", "low")]
    shrunk = moves("K", ("2025-03-31", "200000"), ("2026-03-02", "-100000"), entity="BANK2", name="theirs")
    assert [row[0] for row in found(policy, [*base("1000000"), *ours, *shrunk])] == ["industry:BANK1:K"]


def test_a_month_that_passes_makes_an_industry_grow_or_stop_growing(policy: Policy) -> None:
    """Nobody moves in the industry: what it is compared with is that of another month."""
    policy = ruled(policy, growing())
    # From the end of March 2025 a half more, from April nothing, from May twice as much.
    steps = moves(
        "K", ("2025-03-10", "100000"), ("2025-04-10", "50000"), ("2025-05-10", "-75000"), ("2025-06-10", "75000")
    )
    ticks = [moves("", (f"2026-{month:02d}-20", "1"), name=f"tick{month}")[0] for month in (2, 3, 4, 5)]
    events = [*base("1000000"), *steps, *ticks]
    assert found(policy, events) == [
        ("industry:BANK1:K", "2026-03-20", "high"),
        ("industry:BANK1:K", "2026-05-20", "critical"),
    ]
    without_april = [event for event in events if event.event_id != "tick4-0"]
    assert found(policy, without_april) == [("industry:BANK1:K", "2026-03-20", "critical")]
    assert judge(policy, without_april)["event_time"].to_list() == [at("2026-05-20 10:00")]


@pytest.mark.parametrize(("back", "episodes"), [("1300", 1), ("1300.01", 2)])
def test_a_level_is_left_below_its_multiple_less_the_release(policy: Policy, back: str, episodes: int) -> None:
    # 130,000 less a hundredth are 128,700.
    policy = ruled(policy, growing())
    steps = [("2025-03-31", "100000"), ("2026-03-02", "30000"), ("2026-03-03", f"-{back}"), ("2026-03-04", back)]
    days = anchors(policy, [*base("1000000"), *moves("K", *steps)])
    assert days == ["2026-03-02", "2026-03-04"][:episodes]


@pytest.mark.parametrize(("others", "episodes"), [("300000", 1), ("300000.01", 2)])
def test_a_level_is_left_below_its_share_less_the_release(policy: Policy, others: str, episodes: int) -> None:
    # 50,000 of 1,000,000 are 5 %, and of 1,250,000 still 4 %.
    policy = ruled(policy, growing())
    drawn = moves("K", ("2025-03-31", "10000"), ("2026-03-02", "40000"))
    grows = moves(
        "",
        ("2026-03-03", str(Decimal(others) - 50_000)),
        ("2026-03-04", "-" + str(Decimal(others) - 50_000)),
        name="other",
    )
    assert len(found(policy, [*base("950000"), *drawn, *grows])) == episodes


def test_an_industry_is_at_the_highest_level_of_all_and_the_first_reason_for_it_is_told(policy: Policy) -> None:
    """90,000 and then 180,000 of 1,000,000: 18 % and twice as much as a year ago."""
    drawn = moves("K", ("2025-03-31", "90000"), ("2026-03-02", "90000"))
    events = [*base("820000"), *drawn]

    def told(share: str, net: str | None, *figures: str) -> tuple[str, str]:
        one = ruled(policy, growing(figures=figures), share=(share, *HIGH[1:]) if share else HIGH)
        frame = judge(one, events, [position(net)] if net else [])
        (row,) = frame.filter(pl.col("anchor") == "2026-03-02").select("severity", "observed").rows()
        return row

    assert told("0.18", None, "1.0", "2.0", "3.0") == ("low", "0.180000")  # both at the first level
    assert told("0.18", None, "0.5", "1.0", "3.0") == ("high", "1.000000")  # by growth alone at the second one
    assert told("0.18", None, "0.5", "0.9", "1.0") == ("critical", "1.000000")
    assert told("", "180000", "1.0", "2.0", "3.0") == ("low", "1.000000")  # capital once, and growth of one
    assert told("", "100000", "0.5", "1.0", "3.0") == ("high", "1.800000")  # 1.8 times capital
    assert told("0.18", "90000", "0.5", "0.9", "1.0") == ("critical", "2.000000")
    assert told("0.18", "180001", "0.5", "0.9", "3.0") == ("high", "1.000000")


def test_any_of_the_three_keeps_a_level(policy: Policy) -> None:
    steps = moves(
        "K", ("2025-03-31", "100000"), ("2026-03-02", "30000"), ("2026-03-03", "-20000"), ("2026-03-04", "20000")
    )
    events = [*base("870000"), *steps]  # 13 % of the book, then 11.2 %
    by_growth = ruled(policy, growing(), share=HIGH)
    assert anchors(by_growth, events) == ["2026-03-02", "2026-03-04"]
    assert anchors(ruled(policy, growing(), share=("0.12", "0.5", "0.6")), events) == ["2026-03-02"]
    # The share would hold it down to 11 %: 109,000 of 979,000 are more. Without either it is left.
    assert anchors(ruled(policy, growing(), share=("0.13", "0.5", "0.6")), events) == ["2026-03-02", "2026-03-04"]
    assert len(found(by_growth, events, [position("111000")])) == 1
    # What the share has begun is kept by growth.
    others = moves("", ("2026-03-03 11:00", "500000"), ("2026-03-04 09:00", "-500000"), name="other")
    small = moves("K", ("2025-03-31", "100000"), ("2026-03-02", "30000"))
    shared = ruled(policy, None, share=("0.13", "0.5", "0.6"))
    assert anchors(shared, [*base("870000"), *small, *others]) == ["2026-03-02", "2026-03-04"]
    both = ruled(policy, growing(), share=("0.13", "0.5", "0.6"))
    assert anchors(both, [*base("870000"), *small, *others]) == ["2026-03-02"]


def test_while_a_book_is_too_small_growth_is_not_judged_and_levels_stay(policy: Policy) -> None:
    steps = moves("K", ("2025-03-31", "100000"), ("2026-03-02", "30000"))
    later = moves("", ("2026-03-05", "0.01"), name="later")
    of_book = ruled(policy, growing(), least="1130000")
    assert anchors(of_book, [*base("1000000"), *steps]) == ["2026-03-02"]
    assert anchors(of_book, [*base("999999.99"), *steps]) == []
    assert anchors(of_book, [*base("999999.99"), *steps, *later]) == ["2026-03-05"]
    assert anchors(ruled(policy, growing(), loans="3"), [*base("1000000"), *steps, *later]) == ["2026-03-05"]
    through = moves(
        "K", ("2025-03-31", "100000"), ("2026-03-02", "30000"), ("2026-03-03", "-30000"), ("2026-03-04", "30000")
    )
    assert anchors(of_book, [*base("1000000"), *through]) == ["2026-03-02"]


def test_each_day_is_judged_by_the_months_and_figures_of_its_version(policy: Policy) -> None:
    steps = moves("K", ("2025-02-10", "50000"), ("2025-04-10", "50000"), ("2026-03-02", "30000"))
    ticks = [moves("", (f"2026-03-{day:02d}", "1"), name=f"t{day}")[0] for day in (4, 6, 8)]
    events = [*base("1000000"), *steps, *ticks]
    three = ruled(policy, growing("3"))  # from 100,000 at the end of December
    year = ruled(policy, growing("12"))  # from 50,000
    none = ruled(policy)
    assert found(three, events) == [("industry:BANK1:K", "2026-03-02", "low")]
    assert found(year, events) == [("industry:BANK1:K", "2026-03-02", "critical")]
    history = PolicyHistory(valid(three, "v1", "2020-01-01"), valid(year, "v2", "2026-03-05"))
    assert judge(history, events).select("anchor", "severity", "observed").rows() == [
        ("2026-03-02", "critical", "1.600000")
    ]
    # Where growth is not judged, it keeps nothing either.
    history = PolicyHistory(
        valid(year, "v1", "2020-01-01"), valid(none, "v2", "2026-03-03"), valid(three, "v3", "2026-03-05")
    )
    assert found(history, events) == [
        ("industry:BANK1:K", "2026-03-02", "critical"),
        ("industry:BANK1:K", "2026-03-06", "low"),
    ]
    off = ruled(policy, growing("12"), mode="off")
    history = PolicyHistory(
        valid(year, "v1", "2020-01-01"), valid(off, "v2", "2026-03-03"), valid(three, "v3", "2026-03-05")
    )
    assert found(history, events) == [("industry:BANK1:K", "2026-03-02", "critical")]
    assert found(off, events) == []


def test_dollars_grow_at_the_rate_of_their_loan(policy: Policy) -> None:
    steps = moves("K", ("2025-03-31", "10000"), ("2026-03-02", "3000"), currency="USD")
    assert judge(ruled(policy, growing()), [*base("1000000"), *steps])["observed"].to_list() == ["0.300000"]
    assert found(ruled(policy, growing()), [*base("1753699.99"), *steps]) != []  # 92,300 of 1,845,999.99
    assert found(ruled(policy, growing()), [*base("1753700.01"), *steps]) == []


# --------------------------------------------------------------------------- HHI


FOUR = ("0.26", "0.50", "0.98")


def four(*amounts: str, when: str = "2026-03-01") -> list[LoanEvent]:
    """A loan to each of as many industries, in the order of the amounts, each a minute later."""
    named = zip("KCJL", amounts, strict=False)
    return [loan(industry, f"{when} 00:{i:02d}", amount, industry) for i, (industry, amount) in enumerate(named)]


@pytest.mark.parametrize(
    ("first", "severities"), [("20", ["low"]), ("20.01", []), ("19.99", ["low"])]
)  # 30, 30, 20 and 20 have an HHI of 0.26
def test_the_hhi_is_reached_exactly_at_its_figure(policy: Policy, first: str, severities: list[str]) -> None:
    events = four(first, "20", "30", "30")
    found_here = found(ruled(policy, hhi=FOUR, loans="4"), events)
    assert [row[2] for row in found_here] == severities


@pytest.mark.parametrize(
    ("amount", "severity"), [("49.99", "high"), ("50", "high"), ("1000", "high"), ("5000", "critical")]
)
def test_levels_of_the_hhi(policy: Policy, amount: str, severity: str) -> None:
    """Of two industries: 0.5 at equal amounts, and more at any other."""
    rows = found(ruled(policy, hhi=FOUR, loans="2"), four("50", amount))
    assert rows == [("book:BANK1", "hhi|2026-03-01", severity)]


def test_a_warning_of_the_hhi_says_what_was_seen(policy: Policy) -> None:
    events = four("30", "30", "20", "20")
    row = judge(ruled(policy, hhi=FOUR, loans="4"), events).row(0, named=True)
    assert row["warning_id"] == warning_id(INDUSTRY, 1, "book:BANK1", "hhi|2026-03-01")
    assert (row["departments"], row["observed"], row["severity"]) == (["credit"], "0.260000", "low")
    assert (row["event_time"], row["window_end"]) == (at("2026-03-01 00:03"), at("2026-03-02 00:00"))


def test_the_unknown_industry_is_one_of_them_and_entities_are_apart(policy: Policy) -> None:
    policy = ruled(policy, hhi=FOUR)
    assert found(policy, base("100")) == [("book:BANK1", "hhi|2024-01-01", "critical")]
    ours, theirs = moves("K", ("2026-03-02", "10")), moves("K", ("2026-03-02", "10"), entity="BANK2", name="theirs")
    rows = found(ruled(policy, hhi=FOUR, loans="2"), [*base("10"), *ours, *theirs])
    assert rows == [("book:BANK1", "hhi|2026-03-02", "high")]
    # Two loans of one industry are one part of the book: 0.5, not 0.375.
    both = [*base("10"), *moves("K", ("2026-03-02", "5")), *moves("K", ("2026-03-03", "5"), name="more")]
    assert judge(ruled(policy, hhi=FOUR, loans="3"), both)["observed"].to_list() == ["0.500000"]


def test_a_level_of_the_hhi_is_left_below_its_figure_less_the_release(policy: Policy) -> None:
    """40 and 60 have 0.52; with others it falls to 0.51 of a release and then below it."""
    policy = ruled(policy, hhi=("0.52", "0.90", "0.99"), release="0.02", loans="2")

    def through(least: str) -> list[str]:
        start = [*moves("K", ("2026-03-01", "40")), *moves("J", ("2026-03-01 11:00", "60"))]
        other = moves("K", ("2026-03-02", least), ("2026-03-03", f"-{least}"), name="other")
        return anchors(policy, [*start, *other])

    assert through("5") == ["hhi|2026-03-01"]  # 45² + 60² of 105²: 0.5102, kept from 0.5096 on
    assert through("6") == ["hhi|2026-03-01", "hhi|2026-03-03"]  # 0.5073


def test_exactly_at_the_release_a_level_of_the_hhi_is_kept(policy: Policy) -> None:
    # 30, 30, 20 and 20 have 0.26: two per cent below it are 0.2548 of a figure of 0.26, and 0.26 of one of 0.5.
    start = [*moves("K", ("2026-03-01", "30")), *moves("J", ("2026-03-01 11:00", "30"))]
    rest = [moves(one, ("2026-03-02", "20"), ("2026-03-03", "-20"), name=f"of{one}") for one in "CL"]
    events = [*start, *rest[0], *rest[1]]
    assert anchors(ruled(policy, hhi=("0.5", "0.9", "0.99"), release="0.48", loans="2"), events) == ["hhi|2026-03-01"]
    assert anchors(ruled(policy, hhi=("0.5", "0.9", "0.99"), release="0.47", loans="2"), events) == [
        "hhi|2026-03-01",
        "hhi|2026-03-03",
    ]


def test_a_repayment_may_raise_the_hhi(policy: Policy) -> None:
    events = [*four("50", "50"), *moves("J", ("2026-03-05", "100"), ("2026-03-06", "-100"))]
    days = anchors(ruled(policy, hhi=("0.5", "0.9", "0.99"), loans="2"), events)
    assert days == ["hhi|2026-03-01", "hhi|2026-03-06"]  # 0.375 between


def test_the_hhi_rises_within_an_episode_and_is_told_again_with_more_loans_behind_it(policy: Policy) -> None:
    policy = ruled(policy, hhi=("0.40", "0.55", "0.80"))
    rise = moves("K", ("2026-03-02", "50"), ("2026-03-05", "100"))  # of 100: 0.5556 at once, 0.52 later
    even = moves("J", ("2026-03-01", "100"))
    told = ["anchor", "severity", "observed", "event_time"]
    first = ("hhi|2026-03-01", "critical", "1.000000", at("2026-03-01 10:00"))
    assert judge(policy, [*even, *rise]).select(told).rows() == [first]
    # It falls to the first level and rises again, with three loans instead of one behind it.
    more = moves("K", ("2026-03-07", "300"), name="more")
    second = ("hhi|2026-03-01", "critical", "0.702479", at("2026-03-07 10:00"))
    assert judge(policy, [*even, *rise, *more]).select(told).rows() == [second]


def test_while_a_book_is_too_small_the_hhi_is_not_judged_and_its_level_stays(policy: Policy) -> None:
    small = ruled(policy, hhi=FOUR, least="100")
    assert found(small, four("99.99")) == []
    assert found(small, four("100")) == [("book:BANK1", "hhi|2026-03-01", "critical")]
    # 0.25 of four equal parts of a book that is too small would end the episode.
    steps = [*moves("K", ("2026-03-01", "100"), ("2026-03-02", "-80"), ("2026-03-04", "80"))]
    others = [moves(one, ("2026-03-03", "20"), ("2026-03-03 12:00", "-20"), name=f"x{one}") for one in "CJL"]
    events = [*steps, *others[0], *others[1], *others[2]]
    assert anchors(small, events) == ["hhi|2026-03-01"]
    assert anchors(ruled(policy, hhi=FOUR, least="80"), events) == ["hhi|2026-03-01", "hhi|2026-03-04"]


def test_days_whose_figures_have_no_hhi_leave_its_level_as_it_is(policy: Policy) -> None:
    with_it, without = ruled(policy, hhi=("0.9", "0.95", "0.99")), ruled(policy, growing())
    history = PolicyHistory(
        valid(with_it, "v1", "2020-01-01"), valid(without, "v2", "2026-03-02"), valid(with_it, "v3", "2026-03-04")
    )
    start = moves("K", ("2026-03-01", "100"))
    through = moves("J", ("2026-03-02", "100"), ("2026-03-03", "-100"), name="other")
    tick = moves("K", ("2026-03-05", "1"), name="tick")
    assert anchors(history, [*start, *through, *tick]) == ["hhi|2026-03-01"]
    assert anchors(with_it, [*start, *through, *tick]) == ["hhi|2026-03-01", "hhi|2026-03-03"]
    assert anchors(without, [*start, *through, *tick]) == []


def test_the_same_instant_is_judged_additions_first(policy: Policy) -> None:
    policy = ruled(policy, hhi=("0.9", "0.95", "0.99"), loans="1")
    start = [*moves("K", ("2026-03-01 09:00", "100"), ("2026-03-02", "-100")), *moves("J", ("2026-03-01 09:00", "100"))]
    refill = moves("C", ("2026-03-02", "100"), name="zz")  # by id it would come after the repayment
    assert anchors(policy, start) == ["hhi|2026-03-01", "hhi|2026-03-02"]
    assert anchors(policy, [*start, *refill]) == ["hhi|2026-03-01"]


def test_squares_beyond_128_bits_are_exact(policy: Policy) -> None:
    largest = "999999999999999.99"
    events = [loan(f"{industry}{i}", "2026-03-01 00:00", largest, industry) for industry in "KJ" for i in range(20)]
    policy = ruled(policy, hhi=("0.50", "0.9", "0.99"), loans="40")
    assert judge(policy, events).select("observed", "severity").rows() == [("0.500000", "low")]
    uneven = [*events, loan("zz", "2026-03-01 00:01", "0.01", "J")]
    above = ruled(policy, hhi=("0.50", "0.500000000001", "0.99"), loans="40")
    assert judge(above, uneven)["severity"].to_list() == ["low"]


def test_growth_and_hhi_are_warnings_of_their_own(policy: Policy) -> None:
    steps = moves("K", ("2025-03-31", "100000"), ("2026-03-02", "30000"))
    both = ruled(policy, growing(), ("0.5", "0.9", "0.99"))
    assert found(both, [*base("1000000"), *steps]) == [
        ("book:BANK1", "hhi|2024-01-01", "critical"),
        ("industry:BANK1:K", "2026-03-02", "low"),
    ]
