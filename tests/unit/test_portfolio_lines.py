"""The lines of a book on `portfolio`: growth, multiples of capital and all indices, beside those computed anew."""

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.credit.indices import indices
from models.credit.indices_granularity import Risk, granularity_adjustment
from models.credit.indices_growth import growth, to_capital
from models.credit.industry import industry_of
from models.events import LoanEvent
from models.messages import BookIndices, PortfolioEntry
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from tests.books import altered, capital
from tests.make import CN, at, loan

ALL = tuple(one for one in BookIndices.__struct_fields__ if one != "granularity_adjustment")
WITHOUT_ORDER = tuple(one for one in ALL if one not in ("gini", "hall_tideman"))
DIMENSIONS = ("industry", "division", "region", "real_estate", "borrower", "group")
KINDS = ("none", "development", "mortgage")


def fed(events: list[Any], name: str = "cn.toml") -> dict[str, PortfolioEntry]:
    """The last line of each member, by dimension|member."""
    pipeline = LocalPipeline(PolicyHistory(altered(name)))
    emits = [
        emit for one in events for emit in pipeline.feed("loans" if isinstance(one, LoanEvent) else "capital", one)
    ]
    emits += pipeline.finish()
    assert not pipeline.refusals
    return {one.key.partition("|")[2]: one.value for one in emits if one.topic == "portfolio"}


def random_book(seed: int, count: int = 240) -> list[LoanEvent]:
    """Five years of loans and repayments, in their order."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    when, owed, events = at("2021-02-01 09:00"), {}, []
    for number in range(count):
        when += timedelta(hours=dice.randint(1, 350))
        if owed and dice.random() < 0.3:
            first = dice.choice(sorted(owed))
            part = owed[first].amount if dice.random() < 0.5 else (owed[first].amount / 3).quantize(Decimal("0.01"))
            same = {one: getattr(owed[first], one) for one in ("loan_id", "borrower_id", "industry")}
            events.append(loan(f"e{number}", when, str(part), kind="repaid", **same))
            del owed[first]
            continue
        event = loan(
            f"e{number}",
            when,
            str(Decimal(dice.randint(1, 10**9)) / 100),
            dice.choice(("A01", "C13", "C1391", "K70", "J66", "", "G58")),
            region=dice.choice(("CN-11", "CN-43", None)),
            real_estate=dice.choice(KINDS),
            borrower_id=f"B{dice.randint(1, 40)}",
            group_id=dice.choice(("G1", "G2", None)),
        )
        owed[event.event_id] = event
        events.append(event)
    return events


def counted(events: list[LoanEvent], until: datetime) -> dict[str, dict[str, Decimal]]:
    """Exposures by dimension and member after the events up to an instant."""
    of_loan = {one.loan_id: one for one in reversed(events) if one.kind == "disbursed"}
    found: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for one in events:
        if one.event_time > until:
            break
        first = of_loan[one.loan_id]
        assert one.amount is not None
        members = {
            "industry": industry_of(first.industry),
            "division": industry_of(first.industry, level="division"),
            "region": first.region or "unknown",
            "real_estate": first.real_estate,
            "borrower": first.borrower_id,
            "group": first.group_id,
            "entity": "BANK1",
        }
        for dimension, member in members.items():
            if member is not None:
                found[dimension][member] += one.amount if one.kind == "disbursed" else -one.amount
    return found


def month_end(day: date, months: int) -> datetime:
    """The last instant of the month so many months before, at the bank."""
    year, month = divmod(day.year * 12 + day.month - months, 12)
    return datetime(year, month + 1, 1, tzinfo=CN) - timedelta(microseconds=1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_figure_beside_the_book_counted_anew(seed: int) -> None:
    events = random_book(seed)
    lines = fed([capital("30000000", "25000000.50", date(2021, 1, 1)), *events])
    book, whole = counted(events, events[-1].event_time), lines["entity|BANK1"]
    assert whole.exposure == whole.total == book["entity"]["BANK1"]
    assert whole.indices is not None
    for dimension in DIMENSIONS:
        found, expected = getattr(whole.indices, dimension), indices(book[dimension])
        assert found is not None
        assert expected is not None
        told = WITHOUT_ORDER if dimension in ("borrower", "group") else ALL
        assert {one: getattr(found, one) for one in told} == {one: getattr(expected, one) for one in told}
        assert {getattr(found, one) for one in ALL if one not in told} <= {None}
    credit = altered("cn.toml").credit
    risks = dict.fromkeys(book["borrower"], Risk(credit.pd.value, credit.lgd.value))
    borrowers = whole.indices.borrower
    assert borrowers is not None
    assert borrowers.granularity_adjustment == granularity_adjustment(book["borrower"], risks)
    assert borrowers.granularity_adjustment is not None
    industries = indices(book["industry"])
    assert industries is not None
    assert (whole.hhi, whole.effective_number, whole.cr4) == (
        industries.hhi,
        industries.effective_number,
        industries.cr4,
    )
    grown = 0
    for line in [whole, *(one for one in lines.values() if one.dimension == "industry")]:
        now = counted(events, line.as_of)[line.dimension][line.member]
        assert (line.exposure, line.indices is None) == (now, line.dimension != "entity")
        for months in (3, 12, 36):
            then = counted(events, month_end(line.as_of.astimezone(CN).date(), months))
            expected = growth(now, then[line.dimension].get(line.member))
            assert getattr(line, f"growth_{months}") == expected
            grown += expected is not None
    assert grown > 10
    for line in lines.values():
        assert line.to_net_capital == to_capital(line.exposure, Decimal(30000000))
        assert line.to_tier1_capital == to_capital(line.exposure, Decimal("25000000.50"))
        if line.dimension not in ("industry", "entity"):
            assert (line.growth_3, line.growth_12, line.growth_36) == (None, None, None)


def test_growth_and_multiples_of_a_small_book() -> None:
    events = [
        capital("400", "0.01", date(2026, 1, 1)),
        loan("e1", "2025-12-31 23:59", "100", "K70"),
        loan("e2", "2026-01-01 00:00", "20", "K70"),
        loan("e3", "2026-03-31 12:00", "30", "C13"),
    ]
    lines = fed(events)
    told = {
        key: (str(lines[key].growth_3), lines[key].growth_12, str(lines[key].to_net_capital))
        for key in ("industry|K", "industry|C", "entity|BANK1")
    }
    # The line of K is of January, when nothing was known of September.
    assert told == {
        "industry|K": ("None", None, "0.300000"),
        "industry|C": ("None", None, "0.075000"),
        "entity|BANK1": ("0.500000", None, "0.375000"),
    }


def test_without_capital_there_are_no_multiples() -> None:
    line = fed([loan("e1", "2026-03-02 09:00", "100")])["entity|BANK1"]
    assert (line.net_capital, line.to_net_capital, line.to_tier1_capital) == (None, None, None)


def test_a_single_member_is_as_concentrated_as_can_be_and_an_empty_book_is_not() -> None:
    first = loan("e1", "2026-03-02 09:00", "100")
    one = fed([first])["entity|BANK1"].indices
    assert one is not None
    assert one.group is None
    for dimension in DIMENSIONS[:-1]:
        found = getattr(one, dimension)
        shares = (found.hhi, found.hhi_normalised, found.effective_number, found.cr1, found.cr4, found.cr10)
        assert (found.members, *shares, found.theil) == (1, 1, 1, 1, 1, 1, 1, 0)
        ordered = (None, None) if dimension == "borrower" else (0, 1)
        assert (found.gini, found.hall_tideman) == ordered
    paid = loan("e2", "2026-03-03 09:00", "100", kind="repaid", loan_id="L-e1", borrower_id="B-e1")
    line = fed([first, paid])["entity|BANK1"]
    assert line.indices is not None
    assert {getattr(line.indices, dimension) for dimension in DIMENSIONS} == {None}
    assert (line.exposure, line.hhi, line.share, line.growth_3) == (0, None, 0, None)


def test_the_level_of_the_whole_book() -> None:
    """Of HHI and of the ten largest borrowers the higher one."""
    start = at("2026-03-02 09:00")
    book = [loan(f"e{n}", start + timedelta(minutes=n), "100000", "ABCDEFGHIJ"[n % 10]) for n in range(20)]
    assert fed(book)["entity|BANK1"].level is None
    # The ten largest are 1,000,000: 0.45 times the net capital. HHI is 0.10.
    top_ten = [capital("2222222", "2222222"), *book]
    assert fed(top_ten)["entity|BANK1"].level == "warning"
    concentrated = loan("k", "2026-03-03 09:00", "1220000", "K70")
    assert fed([*book, concentrated])["entity|BANK1"].level == "warning"
    assert fed([*top_ten, concentrated])["entity|BANK1"].level == "control"
