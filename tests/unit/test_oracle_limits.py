"""The oracle on limits: real estate and single names against book and capital, exactly at the line and around it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent
from models.oracle.exposures import Exposures, MonthEnds
from models.policy import Figure, LevelFigures, Limit, Policy, PolicyHistory
from models.risk_warning import warning_id
from tests.make import at, loan

ESTATE, NAMES = "real_estate_concentration", "name_concentration"
LIMITS = {
    ESTATE: ("total", "development", "mortgage"),
    NAMES: ("single", "single_tier1", "group", "group_tier1", "top_ten"),
}
Row = tuple[str, str, str]
FIGURES = ("0.10", "0.20", "0.30")


def figure(value: str) -> Figure:
    return Figure(value=Decimal(value), unit="", source="a test")


def limit(
    basis: Any = "book", op: Any = ">=", figures: Sequence[str] = FIGURES, allowance: str = "", growth: str = ""
) -> Limit:
    levels = LevelFigures(
        **dict(zip(("observation", "warning", "control"), (figure(one) for one in figures), strict=True))
    )
    return Limit(
        basis=basis,
        op=op,
        figures=levels,
        allowance=figure(allowance) if allowance else None,
        growth=figure(growth) if growth else None,
    )


def with_limits(policy: Policy, detector: str, least: str = "1", release: str = "0.02", **limits: Limit) -> Policy:
    """The policy with these limits of a detector and no others."""
    changes: dict[str, Any] = {name: limits.get(name) for name in LIMITS[detector]}
    changes |= {"minimum_book": figure(least), "release": figure(release)}
    rule = replace(getattr(policy.detectors, detector), **changes)
    return replace(policy, detectors=replace(policy.detectors, **{detector: rule}))


def judge(
    policy: Policy | PolicyHistory, detector: str, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()
) -> pl.DataFrame:
    frames = {"loans": oracle.from_events(events), "capital": oracle.from_events(capital)}
    history = policy if isinstance(policy, PolicyHistory) else PolicyHistory(policy)
    return oracle.warnings(**frames, policies=history).filter(pl.col("detector") == detector)


def found(
    policy: Policy | PolicyHistory, detector: str, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()
) -> list[Row]:
    return judge(policy, detector, events, capital).select("subject", "anchor", "severity").sort(pl.all()).rows()


def position(as_of: str, net: str, tier1: str = "1", **fields: Any) -> CapitalPosition:
    values: dict[str, Any] = {"entity": "BANK1", "net_capital": Decimal(net), "tier1_capital": Decimal(tier1)}
    return CapitalPosition(as_of=date.fromisoformat(as_of), **(values | fields))


def moves(*steps: tuple[str, str], **fields: Any) -> list[LoanEvent]:
    """(day, signed amount) steps of one loan of one borrower; what is negative is repaid."""
    name = fields.get("borrower_id", "BX")
    values = {"borrower_id": name, "loan_id": f"L-{name}"} | fields
    events = []
    for i, (day, amount) in enumerate(steps):
        kind = "repaid" if amount.startswith("-") else "disbursed"
        events.append(loan(f"{name}-{i}", f"{day} 10:00", amount.lstrip("-"), kind=kind, **values))
    return events


def base(amount: str, when: str = "2026-03-01") -> list[LoanEvent]:
    return moves((when, amount), borrower_id="base")


# ------------------------------------------------------------------ real estate


@pytest.mark.parametrize(
    ("op", "amount", "severity"),
    [
        (">=", "99999.99", None), (">=", "100000", "low"), (">=", "199999.99", "low"), (">=", "200000", "high"),
        (">=", "300000", "critical"), (">", "100000", None), (">", "100000.01", "low"), (">", "300000", "high"),
        (">", "300000.01", "critical"),
    ],
)  # fmt: skip
def test_a_level_is_reached_at_its_figure_or_above_it(
    policy: Policy, op: str, amount: str, severity: str | None
) -> None:
    policy = with_limits(policy, ESTATE, mortgage=limit(op=op))
    events = [*base(str(1_000_000 - Decimal(amount))), *moves(("2026-03-02", amount), real_estate="mortgage")]
    rows = found(policy, ESTATE, events)
    assert rows == ([("real_estate:BANK1:mortgage", "mortgage|2026-03-02", severity)] if severity else [])


def test_a_warning_says_what_was_seen(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit())
    events = [*base("700000"), *moves(("2026-03-02", "100000"), real_estate="development")]
    row = judge(policy, ESTATE, events).row(0, named=True)
    assert row["warning_id"] == warning_id(ESTATE, 1, "real_estate:BANK1:total", "total|2026-03-02")
    assert (row["departments"], row["observed"]) == (["credit"], "0.125000")
    assert row["event_time"] == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert row["window_end"] == datetime(2026, 3, 2, 16, tzinfo=UTC)


def test_total_is_development_and_mortgages_together(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit(), development=limit(), mortgage=limit())
    events = [
        *base("880000"),
        *moves(("2026-03-02", "50000"), borrower_id="a", real_estate="development"),
        *moves(("2026-03-03", "70000"), borrower_id="b", real_estate="mortgage"),
    ]
    assert found(policy, ESTATE, events) == [("real_estate:BANK1:total", "total|2026-03-03", "low")]
    apart = [*events[:-1], replace(events[-1], entity="BANK2")]  # of BANK2 it is all there is
    assert found(policy, ESTATE, apart) == [
        ("real_estate:BANK2:mortgage", "mortgage|2026-03-03", "critical"),
        ("real_estate:BANK2:total", "total|2026-03-03", "critical"),
    ]


def test_the_region_allowance_is_added_to_control_only(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit(op=">", allowance="0.025"))
    for amount, severity in (("100000.01", "low"), ("325000", "high"), ("325000.01", "critical")):
        events = [*base(str(1_000_000 - Decimal(amount))), *moves(("2026-03-02", amount), real_estate="mortgage")]
        assert [row[2] for row in found(policy, ESTATE, events)] == [severity]


def test_a_book_below_the_minimum_is_not_judged_and_levels_stay_meanwhile(policy: Policy) -> None:
    of_minimum = with_limits(policy, ESTATE, least="1000000", total=limit())
    estate = moves(("2026-03-02", "500000"), real_estate="mortgage")
    assert found(of_minimum, ESTATE, [*base("499999.99"), *estate]) == []
    assert len(found(of_minimum, ESTATE, [*base("500000"), *estate])) == 1
    # What grew while nothing was judged is warned of by the event that makes the book large enough.
    later = moves(("2026-03-05", "0.01"), borrower_id="later")
    assert found(of_minimum, ESTATE, [*base("499999.99"), *estate, *later]) == [
        ("real_estate:BANK1:total", "total|2026-03-05", "critical")
    ]
    steps = moves(("2026-03-02", "500000"), ("2026-03-03", "-490000"), ("2026-03-04", "490000"), real_estate="mortgage")
    assert [row[1] for row in found(of_minimum, ESTATE, [*base("500000"), *steps])] == ["total|2026-03-02"]


@pytest.mark.parametrize(("back", "episodes"), [("2000", 1), ("2000.01", 2)])
def test_a_level_is_left_only_below_its_figure_less_the_release(policy: Policy, back: str, episodes: int) -> None:
    # Of a capital of 1,000,000: 0.10 is 100,000, and 0.02 below it 98,000.
    policy = with_limits(policy, ESTATE, total=limit("net_capital"))
    steps = moves(("2026-03-02", "100000"), ("2026-03-03", f"-{back}"), ("2026-03-04", back), real_estate="development")
    rows = found(policy, ESTATE, steps, [position("2026-01-01", "1000000")])
    assert [row[1] for row in rows] == ["total|2026-03-02", "total|2026-03-04"][:episodes]


def test_the_held_level_decides_when_it_is_left_and_a_fall_goes_to_what_is_reached(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital"))
    capital = [position("2026-01-01", "1000000")]

    def episodes(*steps: tuple[str, str]) -> list[Row]:
        return found(policy, ESTATE, moves(*steps, real_estate="mortgage"), capital)

    # 300,000 holds control down to 294,000. At 99,000 only the first level's release would hold it: it is left.
    fallen = episodes(("2026-03-02", "300000"), ("2026-03-03", "-201000"), ("2026-03-04", "1000"))
    assert [row[1:] for row in fallen] == [("total|2026-03-02", "critical"), ("total|2026-03-04", "low")]
    # At 100,000 the first level is reached, so that the episode goes on, and 98,000 then still holds it.
    kept = episodes(("2026-03-02", "300000"), ("2026-03-03", "-200000"), ("2026-03-04", "-2000"), ("2026-03-05", "1"))
    assert [row[1:] for row in kept] == [("total|2026-03-02", "critical")]


def test_severity_rises_within_an_episode_and_time_and_share_with_it(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital"))
    steps = moves(
        ("2026-03-02", "100000"), ("2026-03-03", "50000"), ("2026-03-05", "60000"), ("2026-03-06", "-100000"),
        ("2026-03-07", "100000"), real_estate="mortgage",
    )  # fmt: skip
    frame = judge(policy, ESTATE, steps, [position("2026-01-01", "1000000")])
    assert frame.select("anchor", "severity", "observed", "event_time").rows() == [
        ("total|2026-03-02", "high", "0.210000", at("2026-03-05 10:00"))
    ]


def test_a_level_that_rises_again_is_told_with_more_loans_behind_it_than_before(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital"))
    capital = [position("2026-01-01", "1000000")]
    fallen = moves(("2026-03-02", "300000"), ("2026-03-03", "-200000"), real_estate="mortgage")
    again = moves(("2026-03-05", "100000"), real_estate="mortgage")
    again = [replace(again[0], event_id="again")]
    told = ["severity", "observed", "event_time"]
    first = ("critical", "0.300000", at("2026-03-02 10:00"))
    assert judge(policy, ESTATE, [*fallen, *again], capital).select(told).rows() == [first]
    another = [replace(again[0], loan_id="L2")]
    second = ("critical", "0.200000", at("2026-03-05 10:00"))  # it reaches `warning` only, and is as grave as it was
    assert judge(policy, ESTATE, [*fallen, *another], capital).select(told).rows() == [second]


def test_the_same_instant_is_judged_additions_first_then_by_id(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit())
    estate = moves(("2026-03-02", "100000"), real_estate="mortgage")
    repaid = moves(("2026-03-01", "900000"), ("2026-03-02", "-1"), borrower_id="A")
    assert [row[1] for row in found(policy, ESTATE, [*repaid, *estate])] == ["total|2026-03-02"]
    # 100,000 of 1,000,001 first, and of 1,000,000 after the repayment, whatever came first.
    repaid = moves(("2026-03-01", "900001"), ("2026-03-02", "-1"), borrower_id="A")
    assert judge(policy, ESTATE, [*repaid, *estate])["observed"].to_list() == ["0.100000"]
    drawn = moves(("2026-03-02", "1"), borrower_id="A")
    drawn = [replace(drawn[0], event_id="zz")]
    assert len(found(policy, ESTATE, [*base("900000"), *drawn, *estate])) == 1  # before the other one was drawn


# ------------------------------------------------------------------------ growth


def grown(then: str, now: str, month: str = "2023-03-31", today: str = "2026-03-15") -> list[LoanEvent]:
    extra = str(Decimal(now) - Decimal(then))
    return moves((month, then), (today, extra), real_estate="development")


@pytest.mark.parametrize(
    ("then", "now", "warned"),
    [("200000", "300000", True), ("200000", "299999.99", False), ("200000.01", "300000", False)],
)
def test_levels_count_from_the_growth_on(policy: Policy, then: str, now: str, warned: bool) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital", growth="0.50"))
    rows = found(policy, ESTATE, grown(then, now), [position("2025-01-01", "1000000")])
    assert [row[1] for row in rows] == (["total|2026-03-15"] if warned else [])


def test_growth_is_since_the_end_of_the_month_36_months_before(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital", growth="0.50"))
    capital = [position("2025-01-01", "1000000")]
    assert len(found(policy, ESTATE, grown("100000", "300000", "2023-03-31"), capital)) == 1
    assert found(policy, ESTATE, grown("100000", "300000", "2023-04-01"), capital) == []  # nothing to grow from
    assert len(found(policy, ESTATE, grown("100000", "300000", "2020-01-15"), capital)) == 1  # it holds until then
    # Drawn up within that month: the growth is from 250,000.
    steps = moves(("2023-03-01", "100000"), ("2023-03-30", "150000"), ("2026-03-15", "50000"), real_estate="mortgage")
    assert found(policy, ESTATE, steps, capital) == []


def test_a_level_is_left_when_growth_no_longer_holds(policy: Policy) -> None:
    policy = with_limits(policy, ESTATE, total=limit("net_capital", growth="0.50"))
    # By April 2026 the growth is from 250,000: 300,000 are a fifth more. By June it is from 150,000.
    steps = moves(
        ("2023-03-05", "200000"), ("2023-04-05", "50000"), ("2023-05-05", "-100000"), ("2026-03-15", "150000"),
        real_estate="mortgage",
    )  # fmt: skip
    others = [*moves(("2026-04-10", "1"), borrower_id="o1"), *moves(("2026-06-10", "1"), borrower_id="o2")]
    rows = found(policy, ESTATE, [*steps, *others], [position("2025-01-01", "1000000")])
    assert [row[1] for row in rows] == ["total|2026-03-15", "total|2026-06-10"]
    assert len(found(policy, ESTATE, [*steps, others[1]], [position("2025-01-01", "1000000")])) == 1


# ----------------------------------------------------------------------- capital


def test_without_capital_nothing_is_judged_and_a_later_position_judges_everybody(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit("net_capital"))
    events = [*moves(("2026-03-02", "100000")), *moves(("2026-03-04", "1"), borrower_id="other")]
    assert found(policy, NAMES, events) == []
    assert found(policy, NAMES, events, [position("2026-03-05", "1000000")]) == []
    assert found(policy, NAMES, events, [position("2026-03-01", "1000000", entity="BANK2")]) == []
    later = found(policy, NAMES, events, [position("2026-03-03", "1000000")])
    assert later == [("borrower:BANK1:BX", "single|2026-03-04", "low")]  # at the first event after it
    assert found(policy, NAMES, events, [position("2026-03-02", "1000000")]) == [
        ("borrower:BANK1:BX", "single|2026-03-02", "low")
    ]


def test_levels_follow_capital_as_it_falls_and_rises(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit("net_capital"))
    ticks = [moves((f"2026-03-{day:02d}", "1"), borrower_id=f"t{day}")[0] for day in (5, 9, 13)]
    events = [*moves(("2026-03-02", "100000")), *ticks]
    capital = [position("2026-01-01", "1000000"), position("2026-03-05", "500000")]
    frame = judge(policy, NAMES, events, capital)
    assert frame.select("anchor", "severity", "observed").rows() == [("single|2026-03-02", "high", "0.200000")]
    assert frame["window_end"][0] == at("2026-03-06 00:00")
    # 100,000 is 0.098 of 1,020,408: held; of a hundredth more not, and with the old capital it begins anew.
    for risen, anchors in (("1020408", 1), ("1020409", 2)):
        rows = found(
            policy, NAMES, events, [capital[0], position("2026-03-08", risen), position("2026-03-12", "1000000")]
        )
        assert [row[1] for row in rows] == ["single|2026-03-02", "single|2026-03-13"][:anchors]


def test_net_and_tier_1_capital_are_two_limits_on_one_borrower(policy: Policy) -> None:
    tier1 = limit("tier1_capital", ">", ("0.025", "0.12", "0.15"))
    policy = with_limits(policy, NAMES, single=limit("net_capital"), single_tier1=tier1)
    capital = [position("2026-01-01", "1000000", "800000")]
    rows = found(
        policy, NAMES, moves(("2026-03-02", "20000"), ("2026-03-03", "0.01"), ("2026-03-04", "80000")), capital
    )
    assert rows == [
        ("borrower:BANK1:BX", "single_tier1|2026-03-03", "high"),  # 0.125
        ("borrower:BANK1:BX", "single|2026-03-04", "low"),
    ]


def test_capital_in_another_currency_and_loans_at_their_rate(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit("net_capital"))
    dollars = [position("2026-01-01", "100000", currency="USD")]  # 710,000 yuan
    assert len(found(policy, NAMES, moves(("2026-03-02", "71000")), dollars)) == 1
    assert found(policy, NAMES, moves(("2026-03-02", "70999.99")), dollars) == []
    assert len(found(policy, NAMES, moves(("2026-03-02", "10000"), currency="USD"), dollars)) == 1


# ------------------------------------------------------------------------- names


def test_groups_are_judged_together_and_a_borrower_without_one_is_none(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, group=limit("net_capital"))
    capital = [position("2026-01-01", "1000000")]
    events = [
        *moves(("2026-03-02", "60000"), borrower_id="a", group_id="G"),
        *moves(("2026-03-03", "40000"), borrower_id="b", group_id="G"),
        *moves(("2026-03-04", "900000"), borrower_id="c"),
    ]
    assert found(policy, NAMES, events, capital) == [("group:BANK1:G", "group|2026-03-03", "low")]
    # A loan stays in the group that its first disbursement gave it.
    repaid = loan("r", "2026-03-04 12:00", "40000", kind="repaid", borrower_id="b", loan_id="L-b")
    again = moves(("2026-03-05", "40000"), borrower_id="d", group_id="G")
    assert [row[1] for row in found(policy, NAMES, [*events, repaid, *again], capital)] == [
        "group|2026-03-03", "group|2026-03-05",
    ]  # fmt: skip


def test_all_loans_of_a_borrower_in_an_entity_are_one_exposure(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit())
    events = [*base("900000"), *moves(("2026-03-02", "50000")), *moves(("2026-03-03", "50000"), loan_id="L2")]
    events = [replace(event, event_id=f"e{i}") for i, event in enumerate(events)]
    rows = found(policy, NAMES, events)
    assert ("borrower:BANK1:BX", "single|2026-03-03", "low") in rows
    assert rows[-1] == ("borrower:BANK1:base", "single|2026-03-01", "critical")
    elsewhere = [*events[:2], replace(events[2], entity="BANK2")]
    assert [row[0] for row in found(policy, NAMES, elsewhere)] == ["borrower:BANK1:base", "borrower:BANK2:BX"]


def test_a_share_of_the_book_rises_for_those_who_do_nothing(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit())
    steps = moves(("2026-03-01", "500000"), ("2026-03-03", "-400000"), borrower_id="A")
    rest = [moves(("2026-03-01", "45000"), borrower_id=f"n{i:02d}")[0] for i in range(20)]
    small = moves(("2026-03-02", "100000"), borrower_id="S")
    # 100,000 of 1,500,000 are less than a tenth; of 1,100,000 as well; of 1,000,000 they are one.
    assert not [row for row in found(policy, NAMES, [*rest, *steps, *small]) if row[0].endswith(":S")]
    last = loan("z", "2026-03-04 10:00", "100000", kind="repaid", borrower_id="A", loan_id="L-A")
    rows = found(policy, NAMES, [*rest, *steps, *small, last])
    assert [row[1] for row in rows if row[0].endswith(":S")] == ["single|2026-03-04"]


def test_the_ten_largest_are_judged_together(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, top_ten=limit("net_capital"))
    capital = [position("2026-01-01", "1000000")]
    twelve = [moves(("2026-03-02", "9000"), borrower_id=f"n{i:02d}")[0] for i in range(12)]
    assert found(policy, NAMES, twelve, capital) == []  # 90,000 of any ten
    larger = moves(("2026-03-03", "18999.99"), ("2026-03-04", "0.01"), borrower_id="big")  # beside nine of 9,000
    assert found(policy, NAMES, [*twelve, larger[0]], capital) == []
    frame = judge(policy, NAMES, [*twelve, *larger], capital)
    assert frame.select("subject", "anchor", "observed").rows() == [("top_ten:BANK1", "top_ten|2026-03-04", "0.100000")]
    # The eleventh takes the place of one who repays: 99,000 still hold the level.
    gone = loan("g", "2026-03-05 10:00", "9000", kind="repaid", borrower_id="n00", loan_id="L-n00")
    more = [gone, *moves(("2026-03-06", "0.01"), borrower_id="later")]
    assert len(found(policy, NAMES, [*twelve, *larger, *more], capital)) == 1


def test_a_limit_or_rule_that_is_off_for_a_while_leaves_levels_as_they_are(policy: Policy) -> None:
    first = with_limits(policy, NAMES, single=limit("net_capital"))
    blind = with_limits(policy, NAMES, group=limit("net_capital"))
    again = first

    def valid(one: Policy, name: str, day: str) -> Policy:
        return replace(one, policy=replace(one.policy, version=name, valid_from=at(f"{day} 00:00")))

    history = PolicyHistory(
        valid(first, "v1", "2020-01-01"), valid(blind, "v2", "2026-03-03"), valid(again, "v3", "2026-03-05")
    )
    capital = [position("2026-01-01", "1000000")]
    steps = moves(("2026-03-02", "100000"), ("2026-03-03", "-50000"), ("2026-03-04", "50000"), ("2026-03-06", "1"))
    assert [row[1] for row in found(history, NAMES, steps, capital)] == ["single|2026-03-02"]
    steps = moves(("2026-03-02", "100"), ("2026-03-03", "100000"), ("2026-03-06", "1"))
    assert [row[1] for row in found(history, NAMES, steps, capital)] == ["single|2026-03-06"]


def test_a_repayment_from_a_later_disbursement_counts_from_that_on(policy: Policy) -> None:
    policy = with_limits(policy, NAMES, single=limit("net_capital"))
    drawn = moves(("2026-03-02", "50000"), ("2026-03-05", "60000"))
    repaid = loan("r", "2026-03-04 10:00", "70000", kind="repaid", borrower_id="BX", loan_id="L-BX")
    rows = found(policy, NAMES, [*drawn, repaid], [position("2026-01-01", "1000000")])
    assert [row[1] for row in rows] == ["single|2026-03-05"]  # 110,000 for a moment, then 40,000


# ------------------------------------------------------------------ running sums


def test_exposures_know_their_order_whatever_moves() -> None:
    exposures, numbers = Exposures(), count(1)
    for name in "abcabcab":
        exposures.add(name, next(numbers))  # a 1+4+7, b 2+5+8, c 3+6
    assert [exposures[name] for name in "abcd"] == [12, 15, 9, 0]
    assert list(exposures.from_(12)) == ["a", "b"]
    assert list(exposures.from_(16)) == []
    assert [exposures.largest(many) for many in (1, 2, 3, 10)] == [15, 27, 36, 36]
    exposures.add("b", -15)
    assert (exposures["b"], list(exposures.from_(1)), exposures.largest(10)) == (0, ["c", "a"], 21)


def test_month_ends_hold_until_the_next_move() -> None:
    ends = MonthEnds()
    for month, amount in ((5, 10), (5, 12), (8, 20)):
        ends.note("x", month, amount)
    assert [ends.at("x", month) for month in (4, 5, 7, 8, 99)] == [0, 12, 12, 20, 20]
    assert ends.at("y", 5) == 0
