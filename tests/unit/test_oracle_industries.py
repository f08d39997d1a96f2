"""The oracle on small loan books: shares, levels, hysteresis, episodes, capital, and what a book refuses."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent
from models.oracle.industries import division, member
from models.policy import Policy, PolicyHistory
from models.risk_warning import warning_id
from tests.make import at, loan

INDUSTRY = "industry_concentration"


def book(*amounts: str, **fields: Any) -> list[LoanEvent]:
    """Loans of no known industry, which never fires: what the industry under test is a share of."""
    return [loan(f"base-{i}", f"2026-03-01 00:{i:02d}", amount, "", **fields) for i, amount in enumerate(amounts)]


TWENTY = ["50000"] * 20  # a million in twenty loans: just large enough to be judged


def judge(policy: Policy, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()) -> pl.DataFrame:
    """Of industries: the few that these books have are also a high HHI of the whole book."""
    frames = {"loans": oracle.from_events(events), "capital": oracle.from_events(capital)}
    found = oracle.warnings(**frames, policies=PolicyHistory(policy)).filter(pl.col("detector") == INDUSTRY)
    return found.filter(pl.col("subject").str.starts_with("industry:"))


def found(
    policy: Policy, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()
) -> list[tuple[str, ...]]:
    frame = judge(policy, events, capital).sort("subject", "anchor")
    return frame.select("subject", "anchor", "severity").rows()


def refused(policy: Policy, events: Sequence[LoanEvent]) -> list[tuple[str, str]]:
    return oracle.refusals(loans=oracle.from_events(events), policies=PolicyHistory(policy)).rows()


def with_rule(policy: Policy, **fields: Any) -> Policy:
    rule = replace(policy.detectors.industry_concentration, **fields)
    return replace(policy, detectors=replace(policy.detectors, industry_concentration=rule))


def figure(policy: Policy, value: str) -> Any:
    return replace(policy.detectors.industry_concentration.release, value=Decimal(value))


# ----------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("share", "severity"), [("0.15", "low"), ("0.20", "high"), ("0.25", "critical"), ("0.60", "critical")]
)
def test_a_level_is_reached_at_its_share_and_not_a_cent_below(policy: Policy, share: str, severity: str) -> None:
    # A book of ten million, so that the share is a whole amount.
    base = (1 - Decimal(share)) * 10_000_000
    parts = [str(base / 20)] * 20
    whole = Decimal(share) * 10_000_000
    event = loan("x", "2026-03-02 10:00", str(whole))
    assert found(policy, [*book(*parts), event]) == [("industry:BANK1:K", "2026-03-02", severity)]
    below = found(policy, [*book(*parts), replace(event, amount=whole - Decimal("0.01"))])
    lower = {"0.15": [], "0.20": ["low"], "0.25": ["high"], "0.60": ["critical"]}
    assert [row[2] for row in below] == lower[share]


def test_a_warning_says_what_was_seen(policy: Policy) -> None:
    row = judge(policy, [*book(*TWENTY), loan("x", "2026-03-02 10:00", "200000")]).row(0, named=True)
    assert row["warning_id"] == warning_id(INDUSTRY, 1, "industry:BANK1:K", "2026-03-02")
    assert row["departments"] == ["credit"]
    assert row["observed"] == "0.166667"
    assert row["event_time"] == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert row["window_end"] == datetime(2026, 3, 2, 16, tzinfo=UTC)


def test_shares_are_rounded_half_to_even(policy: Policy) -> None:
    # 0.2500005 and 0.2500015 exactly, of books of ten million.
    for part, text in (("2500005", "0.250000"), ("2500015", "0.250002")):
        base = Decimal(10_000_000) - Decimal(part)
        events = [*book(*[str(base / 20)] * 20), loan("x", "2026-03-02 10:00", part)]
        assert judge(policy, events)["observed"].to_list() == [text]


def test_small_books_and_few_loans_are_not_judged(policy: Policy) -> None:
    half = loan("x", "2026-03-02 10:00", "500000")
    assert found(policy, [*book(*["1000000"] * 18), replace(half, amount=Decimal(18_000_000))]) == []
    assert len(found(policy, [*book(*["1000000"] * 19), replace(half, amount=Decimal(18_000_000))])) == 1
    tiny = book(*["25000"] * 20)
    assert len(found(policy, [*tiny, half])) == 1
    assert found(policy, [*tiny, replace(half, amount=Decimal("499999.99"))]) == []


def test_a_repayment_elsewhere_lifts_an_industry_over_its_level(policy: Policy) -> None:
    events = [*book(*["50000"] * 40), loan("x", "2026-03-02 10:00", "300000")]  # 0.1304
    assert found(policy, events) == []
    repaid = loan("r", "2026-03-03 10:00", "50000", "", borrower_id="B-base-0", loan_id="L-base-0", kind="repaid")
    gone = [replace(repaid, event_id=f"r{i}", borrower_id=f"B-base-{i}", loan_id=f"L-base-{i}") for i in range(6)]
    assert found(policy, [*events, *gone[:5]]) == []
    assert found(policy, [*events, *gone]) == [("industry:BANK1:K", "2026-03-03", "low")]  # 0.15 of 2,000,000


def test_the_unknown_industry_is_never_warned_of_and_entities_are_judged_apart(policy: Policy) -> None:
    assert found(policy, book(*TWENTY)) == []
    ours, theirs = book(*TWENTY), book(*TWENTY, entity="BANK2")
    theirs = [replace(event, borrower_id=f"{event.borrower_id}-2") for event in theirs]
    mixed = [event for pair in zip(ours, theirs, strict=True) for event in pair]
    event = loan("x", "2026-03-02 10:00", "176471")
    assert found(policy, [*mixed, event]) == [("industry:BANK1:K", "2026-03-02", "low")]
    assert found(policy, [*mixed, event, replace(event, borrower_id="other", entity="BANK2")]) == [
        ("industry:BANK1:K", "2026-03-02", "low"),
        ("industry:BANK2:K", "2026-03-02", "low"),
    ]


# --------------------------------------------------------- hysteresis, episodes


def moves(*steps: tuple[str, str, str]) -> list[LoanEvent]:
    """Steps (day, kind, amount) of one loan in industry K over a constant base of ten million."""
    return [
        loan(f"m{i}", f"2026-{day} 10:00", amount, borrower_id="BX", loan_id="LX", kind=kind)
        for i, (day, kind, amount) in enumerate(steps)
    ]


TEN_MILLION = ["500000"] * 20


def test_an_episode_ends_below_the_release_and_a_new_one_begins(policy: Policy) -> None:
    # With a base of 10 m: 15 % at 1,764,705.89, 14 % (the release) at 1,627,906.98.
    start, to_release, over = ("03-02", "disbursed", "1764706"), ("03-03", "repaid", "136799"), "136799"
    stays = moves(start, to_release, ("03-04", "disbursed", over))
    assert found(policy, book(*TEN_MILLION) + stays) == [("industry:BANK1:K", "2026-03-02", "low")]
    left = moves(start, ("03-03", "repaid", "136800"), ("03-04", "disbursed", "136800"))
    assert found(policy, book(*TEN_MILLION) + left) == [
        ("industry:BANK1:K", "2026-03-02", "low"),
        ("industry:BANK1:K", "2026-03-04", "low"),
    ]


def test_exactly_at_the_release_a_level_is_kept(policy: Policy) -> None:
    # 140,000 of 1,000,000 is 0.14 exactly: not below 0.15 - 0.01.
    base = book(*["43000"] * 20)
    steps = [("03-02", "disbursed", "200000"), ("03-03", "repaid", "60000")]
    again = ("03-04", "disbursed", "60000")
    assert len(found(policy, base + moves(*steps, again))) == 1
    steps[1] = ("03-03", "repaid", "60000.01")
    small = with_rule(policy, minimum_book=figure(policy, "1"))
    assert len(found(small, base + moves(*steps, again))) == 2


def test_severity_in_an_episode_rises_and_never_falls(policy: Policy) -> None:
    rise = moves(("03-02", "disbursed", "1800000"), ("03-05", "disbursed", "800000"))  # 0.1525, then 0.2063
    frame = judge(policy, book(*TEN_MILLION) + rise)
    assert frame.select("anchor", "severity", "observed").rows() == [("2026-03-02", "high", "0.206349")]
    assert frame["event_time"][0] == at("2026-03-05 10:00")
    assert frame["window_end"][0] == at("2026-03-06 00:00")
    falls = [*rise, *moves(("03-02", "disbursed", "1"), ("03-05", "disbursed", "1"), ("03-06", "repaid", "500000"))[2:]]
    assert judge(policy, book(*TEN_MILLION) + falls).equals(frame)


def test_from_a_high_level_an_industry_falls_to_what_its_figures_give(policy: Policy) -> None:
    # control (0.3) -> 0.2 would keep `warning`, but 0.145 is below every level though above the release of the first.
    down = [("03-02", "disbursed", "4300000"), ("03-03", "repaid", "2600000")]  # 0.3007, 0.1453
    up = ("03-04", "disbursed", "100000")  # 0.1525: a new episode, since the first one ended
    assert found(policy, book(*TEN_MILLION) + moves(*down, up)) == [
        ("industry:BANK1:K", "2026-03-02", "critical"),
        ("industry:BANK1:K", "2026-03-04", "low"),
    ]


def test_two_episodes_that_begin_on_one_day_are_one_warning(policy: Policy) -> None:
    steps = moves(("03-02", "disbursed", "3000000"), ("03-02", "repaid", "2900000"), ("03-02", "disbursed", "1700000"))
    steps = [replace(step, event_time=step.event_time + timedelta(hours=i)) for i, step in enumerate(steps)]
    assert found(policy, book(*TEN_MILLION) + steps) == [("industry:BANK1:K", "2026-03-02", "high")]


def test_while_a_book_is_too_small_levels_are_left_as_they_are(policy: Policy) -> None:
    policy = with_rule(policy, minimum_book=figure(policy, "11000000"))
    start = ("03-02", "disbursed", "2000000")
    # 0.0385 of 10.4 m would end the episode, were the book large enough to be judged.
    through_small = moves(start, ("03-03", "repaid", "1600000"), ("03-04", "disbursed", "1600000"))
    assert len(found(policy, book(*TEN_MILLION) + through_small)) == 1
    policy = with_rule(policy, minimum_book=figure(policy, "10400000"))
    assert len(found(policy, book(*TEN_MILLION) + through_small)) == 2


def test_events_are_judged_in_order_of_time_then_id_whatever_the_arrival(policy: Policy) -> None:
    base = book(*TEN_MILLION)
    events = base + moves(
        ("03-02", "disbursed", "3000000"), ("03-03", "repaid", "2900000"), ("03-04", "disbursed", "2000000")
    )
    expected = judge(policy, events)
    assert expected["anchor"].sort().to_list() == ["2026-03-02", "2026-03-04"]
    own, rest = events[20:], events[:20]
    assert judge(policy, own + rest[::-1]).equals(expected)
    same_time = [
        loan("b", "2026-03-02 10:00", "2000000", borrower_id="B1"),
        loan("a", "2026-03-02 10:00", "3000000", "", borrower_id="B2"),
    ]
    assert judge(policy, base + same_time)["observed"].to_list() == []  # a, then b: 2 of 15 million
    assert len(judge(policy, [*base, same_time[0], replace(same_time[1], event_id="c")])) == 1


# ---------------------------------------------------------------------- capital


def capital(as_of: str, amount: str, **fields: Any) -> CapitalPosition:
    values: dict[str, Any] = {"entity": "BANK1", "tier1_capital": Decimal(amount)}
    return CapitalPosition(as_of=date.fromisoformat(as_of), net_capital=Decimal(amount), **(values | fields))


@pytest.mark.parametrize(
    ("amount", "severity"),
    [("999999.99", None), ("1000000", "low"), ("1499999.99", "low"), ("1500000", "high"), ("2000000", "critical")],
)
def test_levels_by_capital(policy: Policy, amount: str, severity: str | None) -> None:
    events = [*book(*["5000000"] * 20), loan("x", "2026-03-02 10:00", amount)]
    rows = found(policy, events, [capital("2026-03-02", "1000000")])
    assert rows == ([("industry:BANK1:K", "2026-03-02", severity)] if severity else [])
    assert found(policy, events, [capital("2026-03-03", "1000000")]) == []
    assert found(policy, events, [capital("2026-03-02", "1000000", entity="BANK2")]) == []


def test_capital_in_another_currency_is_converted_and_an_unrated_one_refused(policy: Policy) -> None:
    events = [*book(*["5000000"] * 20), loan("x", "2026-03-02 10:00", "710000")]
    dollars = capital("2026-03-01", "100000", currency="USD")
    assert judge(policy, events, [dollars])["observed"].to_list() == ["1.000000"]
    assert found(policy, events, [replace(dollars, net_capital=Decimal("100000.01"))]) == []
    unrated = capital("2026-03-01", "100000", currency="AUD")
    assert found(policy, events, [unrated]) == []
    frame = oracle.from_events([unrated])
    assert oracle.refusals(capital=frame, policies=PolicyHistory(policy)).rows() == [("BANK1@2026-03-01", "no_rate")]


def test_an_event_is_judged_by_the_capital_of_its_own_day(policy: Policy) -> None:
    steps = moves(("03-02", "disbursed", "1000000"), ("03-05", "disbursed", "1"))
    positions = [capital("2026-03-04", "1000000"), capital("2026-01-01", "9000000")]
    assert found(policy, book(*["5000000"] * 20) + steps, positions) == [("industry:BANK1:K", "2026-03-05", "low")]
    twice = [capital("2026-03-01", "1000000"), capital("2026-03-01", "9000000")]  # the newest of a day counts
    assert found(policy, book(*["5000000"] * 20) + steps, twice) == []


def test_a_level_is_left_only_when_share_and_capital_both_allow_it(policy: Policy) -> None:
    def episodes(*steps: tuple[str, str, str], base: str, net: str) -> int:
        return len(found(policy, book(*[base] * 20) + moves(*steps), [capital("2026-01-01", net)]))

    start, again = ("03-02", "disbursed", "1000000"), ("03-04", "disbursed", "900000")
    # By capital alone: left below 1.00 × (1 - 0.01) of it.
    assert episodes(start, ("03-03", "repaid", "10000"), again, base="5000000", net="1000000") == 1
    assert episodes(start, ("03-03", "repaid", "10000.01"), again, base="5000000", net="1000000") == 2
    # The share falls far below its level, but the exposure is still beyond capital.
    share = [("03-02", "disbursed", "3000000"), ("03-03", "repaid", "2000000"), ("03-04", "disbursed", "2000000")]
    assert episodes(*share, base="500000", net="900000") == 1
    assert episodes(*share, base="500000", net="9000000") == 2


# -------------------------------------------------------------- balances, members


def test_balances_are_kept_loan_by_loan_in_the_order_of_taking(policy: Policy) -> None:
    def step(event_id: str, kind: str, amount: str | None, **fields: Any) -> LoanEvent:
        when = fields.pop("when", "2026-03-02 10:00")
        event = loan(event_id, when, amount or "1", borrower_id="BX", **({"loan_id": "LX"} | fields))
        return replace(event, kind=kind, amount=Decimal(amount) if amount else None)

    events = [
        step("early", "repaid", "1"),
        step("asked", "approved", "100"),
        step("still", "repaid", "1"),
        step("out", "disbursed", "100"),
        step("aud", "disbursed", "100", currency="AUD"),
        step("free", "applied", "100", currency="AUD"),
        step("late", "overdue", None),
        step("r1", "repaid", "60"),
        step("r2", "written_off", "38.01"),  # early and still have been taken meanwhile
        step("r3", "reversed", "38"),
        step("r1", "repaid", "60"),
        step("r4", "repaid", "0.01"),
        step("other", "repaid", "1", loan_id="LY"),
        step("more", "disbursed", "5"),
        step("r4", "repaid", "0.01"),
        step("r5", "repaid", "4.99"),
    ]
    assert refused(policy, events) == [
        ("aud", "no_rate"),
        ("r2", "repays_past_zero"),
        ("other", "unknown_loan"),
    ]
    assert refused(policy, [*events, step("r6", "repaid", "0.01")])[-1] == ("r6", "closed_loan")


def test_a_repaid_loan_leaves_the_industry_it_was_disbursed_under(policy: Policy) -> None:
    first, second = moves(("03-02", "disbursed", "3000000"), ("03-03", "repaid", "2900000"))
    third = loan("z", "2026-03-04 10:00", "2000000")
    expected = [("industry:BANK1:K", "2026-03-02", "high"), ("industry:BANK1:K", "2026-03-04", "low")]
    for industry in ("K70", "", "C13"):
        assert found(policy, [*book(*TEN_MILLION), first, replace(second, industry=industry), third]) == expected


def test_dollar_loans_count_at_their_rate(policy: Policy) -> None:
    base = book(*["301750"] * 20)  # 6,035,000; 150,000 USD are 1,065,000: 0.15 of 7,100,000
    event = loan("x", "2026-03-02 10:00", "150000", currency="USD")
    assert len(found(policy, [*base, event])) == 1
    assert found(policy, [*base, replace(event, amount=Decimal("149999.99"))]) == []


def test_a_loan_event_counts_once_for_its_borrower(policy: Policy) -> None:
    event = loan("x", "2026-03-02 10:00", "1000000")
    assert found(policy, [*book(*TEN_MILLION), event, event]) == []
    other = replace(event, borrower_id="other", loan_id="other")
    assert len(found(policy, [*book(*TEN_MILLION), event, other])) == 1


@pytest.mark.parametrize(
    ("scheme", "codes"),
    [
        (
            "gbt4754",
            {
                "A01": "A", "T97": "T", "K": "K", "01": "A", "05": "A", "06": "B", "12": "B", "13": "C", "43": "C",
                "4401": "D", "47": "E", "5101": "F", "60": "G", "61": "H", "63": "I", "6610": "J", "70": "K",
                "71": "L", "75": "M", "76": "N", "80": "O", "83": "P", "84": "Q", "86": "R", "90": "R", "91": "S",
                "97": "T", "98": "unknown", "00": "unknown", "7": "unknown", "U12": "unknown", "": "unknown",
                "k7010": "K", "K13": "K", "Ka": "unknown", "T-shirts": "T", "Trade": "unknown",
            },
        ),
        (
            "naics",
            {
                "111110": "11", "31": "31-33", "332": "31-33", "339999": "31-33", "44": "44-45", "453": "44-45",
                "484": "48-49", "491": "48-49", "42": "42", "722513": "72", "92": "92", "999990": "99",
                "10": "unknown", "34": "unknown", "5": "unknown", "": "unknown", "x1": "unknown",
            },
        ),
        ("as_given", {"steel": "steel", " coal ": "coal", "": "unknown"}),
    ],
)  # fmt: skip
def test_codes_become_members(scheme: str, codes: dict[str, str]) -> None:
    frame = pl.DataFrame({"code": list(codes)}).select(member("code", scheme))
    assert dict(zip(codes, frame.to_series(), strict=True)) == codes


@pytest.mark.parametrize(
    ("scheme", "codes"),
    [
        (
            "gbt4754",
            {
                "C1391": "13", "7010": "70", "K70": "70", " c13 ": "13", "01": "01", "97": "97", "K": "unknown",
                "K13": "unknown", "98": "unknown", "00": "unknown", "7": "unknown", "U12": "unknown", "": "unknown",
            },
        ),
        ("naics", {"522110": "unknown"}),
        ("as_given", {"13": "unknown"}),
    ],
)  # fmt: skip
def test_codes_become_divisions(scheme: str, codes: dict[str, str]) -> None:
    frame = pl.DataFrame({"code": list(codes)}).with_columns(division("code", scheme).alias("division"))
    assert dict(frame.rows()) == codes
