"""Single names, groups and the ten largest: levels at their lines, capital that comes and grows, partitions."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.events import CapitalPosition
from models.messages import LoanDelta, LoanDeltas, LoanWatermark, PortfolioEntry
from models.pipeline import END_OF_TIME, LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.reference import Mute
from models.risk_warning import RiskWarning, warning_id
from models.stage import Record
from models.stages.portfolio import PortfolioStage
from tests.books import altered, capital, merged
from tests.make import at, loan

RULE = "detectors.name_concentration"
CENT = Decimal("0.01")
NET, TIER1 = "10000000", "8000000"


def crowd(count: int = 20, amount: str = "85000", **fields: Any) -> list[Any]:
    """Borrowers of whom no rule speaks, on 2 March."""
    start = at("2026-03-02 09:00")
    return [
        loan(f"c{n:03d}", start + timedelta(minutes=n), amount, "ABCDEFGHIJ"[n % 10], **fields) for n in range(count)
    ]


def drawn(event_id: str, day: str, amount: str | Decimal, borrower: str = "X", **fields: Any) -> Any:
    """A loan of the borrower's own, or with `kind="repaid"` a repayment of the one called after its borrower."""
    return loan(
        event_id,
        f"2026-03-{day} 09:00",
        str(amount),
        "C",
        **({"borrower_id": borrower, "loan_id": f"L-{borrower}"} | fields),
    )


def fed(pipeline: LocalPipeline, events: Iterable[Any]) -> list[Any]:
    emits: list[Any] = []
    for event in events:
        emits += pipeline.feed("capital" if isinstance(event, CapitalPosition) else "loans", event)
        pipeline.restart()
    emits += pipeline.finish()
    assert not pipeline.refusals
    return emits


def of_rule(pipeline: LocalPipeline) -> list[RiskWarning]:
    found = [one for one in pipeline.warnings.values() if one.detector == "name_concentration"]
    return sorted(found, key=lambda one: (one.event_time, one.reasons[0].code))


def run(policy: Policy, events: Iterable[Any]) -> dict[str, list[RiskWarning]]:
    """The rule's warnings by limit, in the order of their times."""
    pipeline = LocalPipeline(PolicyHistory(policy))
    fed(pipeline, events)
    found: dict[str, list[RiskWarning]] = {}
    for one in of_rule(pipeline):
        found.setdefault(one.reasons[0].code, []).append(one)
    return found


def severity_of(found: list[RiskWarning] | None) -> str | None:
    if found is None:
        return None
    (warning,) = found
    return warning.severity


@pytest.mark.parametrize(
    ("policy", "currency", "limit", "line", "op", "below", "severity"),
    [
        # China: net capital 10,000,000 at the figure, Tier 1 8,000,000 above it.
        ("cn", "CNY", "single", "800000", ">=", None, "low"),
        ("cn", "CNY", "single", "900000", ">=", "low", "high"),
        ("cn", "CNY", "single", "1000000", ">=", "high", "critical"),
        ("cn", "CNY", "single_tier1", "200000", ">", None, "low"),
        ("cn", "CNY", "single_tier1", "960000", ">", "low", "high"),
        ("cn", "CNY", "single_tier1", "1200000", ">", "high", "critical"),
        ("cn", "CNY", "group", "1200000", ">=", None, "low"),
        ("cn", "CNY", "group", "1350000", ">=", "low", "high"),
        ("cn", "CNY", "group", "1500000", ">=", "high", "critical"),
        ("cn", "CNY", "group_tier1", "200000", ">", None, "low"),
        ("cn", "CNY", "group_tier1", "1280000", ">", "low", "high"),
        ("cn", "CNY", "group_tier1", "1600000", ">", "high", "critical"),
        # Basel as in the European Union: Tier 1 alone.
        ("eu", "EUR", "single_tier1", "800000", ">=", None, "low"),
        ("eu", "EUR", "single_tier1", "1600000", ">=", "low", "high"),
        ("eu", "EUR", "single_tier1", "2000000", ">=", "high", "critical"),
        ("eu", "EUR", "group_tier1", "2000000", ">=", "high", "critical"),
        # United States: 15 % of capital and surplus.
        ("us", "USD", "single", "1000000", ">=", None, "low"),
        ("us", "USD", "single", "1250000", ">=", "low", "high"),
        ("us", "USD", "single", "1500000", ">=", "high", "critical"),
        ("us", "USD", "group", "1500000", ">=", "high", "critical"),
    ],
)
def test_levels_at_their_lines(
    policy: str, currency: str, limit: str, line: str, op: str, below: str | None, severity: str
) -> None:
    expected = {-CENT: below, Decimal(0): severity if op == ">=" else below, CENT: severity}
    shipped = altered(f"{policy}.toml")
    for beside, reached in expected.items():
        amount, money = Decimal(line) + beside, {"currency": currency}
        # A group is reached by several borrowers, each far below.
        parts = (
            (amount - 7 * 190_000, *(["190000"] * 7)) if limit.startswith("group") and amount > 1_330_000 else (amount,)
        )
        mine = [drawn(f"x{n}", "03", part, f"X{n}", group_id="G", **money) for n, part in enumerate(parts)]
        found = run(shipped, [capital(NET, TIER1, **money), *crowd(**money), *mine])
        assert severity_of(found.get(limit)) == reached, beside


def test_top_ten_at_its_lines() -> None:
    for last, expected in (("399999.99", None), ("400000", "low"), ("899999.99", "low"), ("900000", "high")):
        ten = [drawn(f"x{n}", "03", "400000", f"X{n}") for n in range(9)]
        events = [capital(NET, "100000000"), *crowd(), *ten, drawn("y", "04", last, "Y")]
        assert severity_of(run(altered("cn.toml"), events).get("top_ten")) == expected
    # 0.50 times net capital is 5,000,000.
    ten = [drawn(f"x{n}", "03", "500000", f"X{n}") for n in range(10)]
    found = run(altered("cn.toml"), [capital(NET, "100000000"), *crowd(), *ten])
    assert severity_of(found["top_ten"]) == "critical"


def test_an_eleventh_that_overtakes_is_among_the_ten() -> None:
    ten = [drawn(f"x{n}", "03", "390000", f"X{n}") for n in range(10)]
    events = [capital(NET, "100000000"), *crowd(), *ten]
    assert "top_ten" not in run(altered("cn.toml"), [*events, drawn("y", "04", "489999.99", "Y")])
    (warning,) = run(altered("cn.toml"), [*events, drawn("y", "04", "490000", "Y")])["top_ten"]
    assert (warning.subject, warning.event_ids, warning.event_count) == ("top_ten:BANK1", ("y",), 10)
    reason = warning.reasons[0]
    assert (reason.observed, reason.threshold, reason.unit) == ("0.400000", "0.40", "times net capital")
    assert reason.text_en.startswith("The 10 largest borrowers (Y, X9, X8,")
    assert "X0" not in reason.text_en
    # A tenth that pays back makes room for the eleventh: 10 x 390,000 again, which is kept (0.98 x 4,000,000 is not).
    paid = drawn("p", "05", "100000", "Y", kind="repaid")
    again = drawn("q", "06", "100000", "Y")
    found = run(altered("cn.toml"), [*events, drawn("y", "04", "490000", "Y"), paid, again])
    assert [one.event_ids for one in found["top_ten"]] == [("y",), ("q",)]


def test_two_limits_on_one_borrower_are_two_warnings() -> None:
    found = run(altered("cn.toml"), [capital(NET, TIER1), *crowd(), drawn("x", "03", "1300000")])
    (single,), (tier1,) = found["single"], found["single_tier1"]
    assert single.subject == tier1.subject == "borrower:BANK1:X"
    for one, limit in ((single, "single"), (tier1, "single_tier1")):
        assert one.warning_id == warning_id("name_concentration", 1, "borrower:BANK1:X", f"{limit}|2026-03-03")
        assert (one.severity, one.event_ids, one.event_count) == ("critical", ("x",), 1)
        assert one.departments == ("credit",)
        assert one.window.start == at("2026-03-03 00:00")
    assert single.reasons[0].text_en == (
        "Loans to the borrower X are 0.130000 times net capital, at or above the control level of 0.10."
    )
    assert tier1.reasons[0].text_zh == "借款人X的贷款为一级资本净额的0.162500倍，超过控制线0.15倍。"
    assert tier1.reasons[0].unit == "times Tier 1 capital"


def test_hovering_at_the_line_warns_once_and_a_new_episode_begins_after_the_release() -> None:
    first = [capital(NET, "100000000"), *crowd(), drawn("x1", "03", "800000")]
    hover = [drawn(f"h{n}", f"{n:02d}", "10000", kind="repaid" if n % 2 == 0 else "disbursed") for n in range(4, 12)]
    found = run(altered("cn.toml"), [*first, *hover])["single"]
    assert [(one.severity, one.revision) for one in found] == [("low", 1)]
    # 0.98 x 800,000 is kept, a cent less is left.
    for paid, days in (("16000", ["03"]), ("16000.01", ["03", "05"])):
        events = [*first, drawn("x2", "04", paid, kind="repaid"), drawn("x3", "05", paid)]
        found = run(altered("cn.toml"), events)["single"]
        assert [one.warning_id for one in found] == [
            warning_id("name_concentration", 1, "borrower:BANK1:X", f"single|2026-03-{day}") for day in days
        ]


def test_a_rise_is_one_episode_with_growing_severity() -> None:
    events = [capital(NET, "100000000"), *crowd()] + [drawn(f"x{n}", f"0{n}", "500000") for n in (3, 4)]
    events += [drawn("x5", "05", "50000", kind="repaid"), drawn("x6", "06", "50000")]
    (found,) = run(altered("cn.toml"), events[:-2])["single"]
    assert (found.severity, found.revision, found.event_count) == ("critical", 1, 1)
    steps = [drawn(f"s{n}", f"0{n}", amount) for n, amount in ((3, "800000"), (4, "100000"), (5, "100000"))]
    (found,) = run(altered("cn.toml"), [capital(NET, "100000000"), *crowd(), *steps])["single"]
    assert (found.severity, found.revision, found.event_ids) == ("critical", 3, ("s5",))
    # Left for the warning level and back: the same episode still, which has nothing new to say.
    (found,) = run(altered("cn.toml"), events)["single"]
    assert (found.severity, found.revision, found.event_ids) == ("critical", 1, ("x4",))


# --- capital ---


def test_capital_that_comes_after_the_loans_judges_the_book_as_it_stands() -> None:
    pipeline = LocalPipeline(PolicyHistory(altered("cn.toml")))
    fed(pipeline, [*crowd(), drawn("x", "03", "900000")])
    assert not of_rule(pipeline)
    fed(pipeline, [capital(NET, "100000000")])
    (warning,) = of_rule(pipeline)
    assert (warning.severity, warning.event_ids, warning.late) == ("high", ("BANK1@2026-03-01",), True)


def test_capital_counts_from_its_day_on_at_the_first_event_of_it() -> None:
    falls = [capital(NET, "100000000"), capital("8000000", "100000000", date(2026, 3, 5)), *crowd()]
    found = run(altered("cn.toml"), [*falls, drawn("x", "03", "700000"), drawn("y", "05", "1", "Y")])
    assert [(one.subject, one.event_ids, one.late) for one in found["single"]] == [("borrower:BANK1:X", ("y",), False)]


def test_capital_that_grows_lowers_the_level() -> None:
    events = [capital(NET, "100000000"), capital("20000000", "100000000", date(2026, 3, 5)), *crowd()]
    events += [drawn("x", "03", "1000000"), drawn("y", "05", "1", "Y"), drawn("x2", "06", "600000")]
    found = run(altered("cn.toml"), events)["single"]
    assert [(one.severity, one.event_ids, one.reasons[0].observed) for one in found] == [
        ("critical", ("x",), "0.100000"),
        ("low", ("x2",), "0.080000"),
    ]


def test_without_capital_only_shares_of_the_book_are_judged() -> None:
    share = altered("cn.toml", (f"{RULE}.single", 'basis = "net_capital"', 'basis = "book"'))
    paid = drawn("p", "04", "30000", "B-c000", kind="repaid", loan_id="L-c000")
    # 180,000 of 1,980,000 is 9.09 %, of 1,950,000 it is 9.23 %; others hold 30,000.
    found = run(share, [*crowd(60, "30000"), drawn("x", "03", "180000"), paid])
    assert set(found) == {"single"}
    assert [(one.event_ids, one.severity, one.reasons[0].unit) for one in found["single"]] == [
        (("x",), "high", "share of the book")
    ]
    # A repayment elsewhere lifts 155,000 from 7.93 % to 8.05 %.
    (lifted,) = run(share, [*crowd(60, "30000"), drawn("x", "03", "155000"), paid])["single"]
    assert (lifted.event_ids, lifted.subject) == (("p",), "borrower:BANK1:X")


def test_a_small_book_is_not_judged_until_it_is_large_enough() -> None:
    events = [capital("1000000", "100000000"), drawn("x", "03", "90000"), drawn("y", "04", "909999.99", "Y")]
    assert not run(altered("cn.toml"), events)
    found = run(altered("cn.toml"), [*events, drawn("z", "05", "0.01", "Z")])
    assert [(one.subject, one.severity, one.event_ids) for one in found["single"]] == [
        ("borrower:BANK1:X", "high", ("z",)),
        ("borrower:BANK1:Y", "critical", ("z",)),
    ]


class Counting(MemoryStates):
    """Counts the states that are asked for."""

    loads = 0

    def load(self, key: str, kind: Any) -> Any:
        self.loads += 1
        return super().load(key, kind)


def test_a_capital_change_looks_at_no_more_names_than_are_near_a_limit(policies: PolicyHistory) -> None:
    """And so does an event, however many borrowers there are."""
    loads = []
    for count in (100, 1000):
        stage, states = PortfolioStage(policies), Counting()
        deltas = [delta(n, "9000", f"B{n:04d}") for n in range(count)]
        deltas += [delta(count, "900000", "X"), delta(count + 1, "850000", "Y")]
        apply(stage, states, LoanDeltas(entity="BANK1", loans_partition=0, deltas=tuple(deltas)))
        apply(stage, states, LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=END_OF_TIME))
        before = states.loads
        found = apply(stage, states, capital(NET, "100000000"))
        assert [one.subject for one in found] == ["borrower:BANK1:X", "borrower:BANK1:Y"]
        one = delta(count + 2, "1", "B0001")
        apply(stage, states, LoanDeltas(entity="BANK1", loans_partition=0, deltas=(one,)))
        loads.append(states.loads - before)
    assert loads[0] == loads[1]


def delta(number: int, amount: str, borrower: str) -> LoanDelta:
    when = at("2026-03-02 09:00") + timedelta(seconds=number)
    return LoanDelta(
        offset=number,
        event_id=f"e{number}",
        event_time=when,
        ingest_time=when,
        member="unknown",
        amount=Decimal(amount),
        loans=1,
        borrower=borrower,
    )


def apply(stage: PortfolioStage, states: MemoryStates, event: Any) -> list[RiskWarning]:
    topic = "capital" if isinstance(event, CapitalPosition) else "portfolio.deltas"
    emits = stage.apply(states, Record(topic, 0, 0, END_OF_TIME, event, END_OF_TIME))
    return [one.value for one in emits if one.topic == "warnings"]


# --- modes, mutes, lines ---


def test_modes_and_mutes() -> None:
    events = [capital(NET, "100000000"), *crowd(), drawn("x", "03", "900000")]
    assert not run(altered("cn.toml", (RULE, 'mode = "live"', 'mode = "off"')), events)
    shadow = run(altered("cn.toml", (RULE, 'mode = "live"', 'mode = "shadow"')), events)
    assert [one.mode for one in shadow["single"]] == ["shadow"]
    policies = PolicyHistory(altered("cn.toml"))
    policies.take(
        Mute(
            mute_id="m1",
            subject="borrower:BANK1:X",
            detector="name_concentration",
            starts_at=at("2026-03-01 00:00"),
            ends_at=at("2026-04-01 00:00"),
            up_to="high",
            reason="collateral is being taken",
            proposed_by="E1",
            proposed_at=at("2026-03-01 00:00"),
            approved_by="E2",
            approved_at=at("2026-03-01 00:00"),
        )
    )
    pipeline = LocalPipeline(policies)
    fed(pipeline, events)
    assert [(one.muted_by, one.notify) for one in of_rule(pipeline)] == [("m1", False)]


def test_lines_of_borrowers_from_their_first_level_on() -> None:
    pipeline = LocalPipeline(PolicyHistory(altered("cn.toml")))
    events = [capital(NET, "100000000"), *crowd(), drawn("x", "03", "700000"), drawn("x2", "04", "200000")]
    events.append(drawn("x3", "05", "500000", kind="repaid"))
    lines: list[PortfolioEntry] = [
        one.value for one in fed(pipeline, events) if one.topic == "portfolio" and one.value.dimension == "borrower"
    ]
    assert [(one.member, one.exposure, one.level) for one in lines] == [
        ("X", Decimal(900000), "warning"),
        ("X", Decimal(400000), None),
    ]
    assert [(one.net_capital, one.tier1_capital) for one in lines] == [(Decimal(NET), Decimal("100000000"))] * 2
    # 20 x 85,000 and 900,000: (20 x 85^2 + 900^2) / 2600^2.
    assert str(lines[0].hhi) == "0.141198"


# --- partitions and restarts ---


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_any_number_of_partitions_gives_the_same(partitions: int) -> None:
    """Groups whose borrowers are in different partitions, an eleventh among the ten largest, repayments, restarts."""
    policies = PolicyHistory(altered("cn.toml"))
    start = at("2026-03-02 09:00")
    events: list[Any] = [capital("4000000", "3200000")]
    for n in range(240):
        borrower, repays = n * 7 % 40, n % 5 == 4
        name = {"borrower_id": f"B{borrower}", "loan_id": f"L{borrower}", "group_id": f"G{borrower % 6}"}
        amount = str(10_000 + (n * n * 1310) % 90_000 + 4000 * (borrower == 3) * n % 900_000)
        events.append(loan(f"e{n:03d}", start + timedelta(hours=3 * n), amount, "ABCDEFGHIJ"[n % 10], **name))
        if repays:
            paid = start + timedelta(hours=3 * n, minutes=30)
            events.append(loan(f"p{n:03d}", paid, amount, kind="repaid", **name))
    expected = merged(policies, events, 1, 0)
    codes = {one.reasons[0].code for one in expected.warnings.values() if one.detector == "name_concentration"}
    assert codes == {"single", "single_tier1", "group", "group_tier1", "top_ten"}
    for seed in range(3):
        found = merged(policies, events, partitions, seed, restarts=True)
        assert found.told() == expected.told()
        assert found.book() == expected.book()
