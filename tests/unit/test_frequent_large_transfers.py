"""frequent_large_transfers: both rules, their edges in the calendar, and suspicious counterparties."""

from datetime import date

from msgspec.structs import replace

from models.events import Counterparty
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.watch_list import WatchEntry
from tests.make import transaction

LARGE = "400000"  # 80 % of a person's domestic threshold


def warnings_of(policies: PolicyHistory, *events: object) -> dict[str, RiskWarning]:
    pipeline = LocalPipeline(policies)
    for event in events:
        pipeline.feed("transactions", event)
    assert not pipeline.refusals
    found = [one for one in pipeline.warnings.values() if one.detector == "frequent_large_transfers"]
    return {one.reasons[0].code: one for one in found}


def on_days(*days: str, amount: str = LARGE) -> list[object]:
    return [transaction(f"e{number}", f"{day} 10:00", amount) for number, day in enumerate(days)]


def test_three_in_a_day_at_eighty_per_cent(policies: PolicyHistory) -> None:
    day = "2026-03-02"
    found = warnings_of(policies, *on_days(day, day, day))
    assert list(found) == ["transfers_in_a_day"]
    warning = found["transfers_in_a_day"]
    assert (warning.severity, warning.departments) == ("medium", ("operations", "risk"))
    assert (warning.reasons[0].observed, warning.reasons[0].threshold) == ("3", "3")
    assert not warnings_of(policies, *on_days(day, day))
    assert not warnings_of(policies, *on_days(day, day, day, amount="399999.99"))


def test_a_weekend_burst_does_not_escape(policies: PolicyHistory) -> None:
    sunday = "2026-03-08"
    assert list(warnings_of(policies, *on_days(sunday, sunday, sunday))) == ["transfers_in_a_day"]


def test_three_working_days_in_a_row_across_a_weekend(policies: PolicyHistory) -> None:
    found = warnings_of(policies, *on_days("2026-03-05", "2026-03-06", "2026-03-09"))
    assert list(found) == ["consecutive_days"]
    assert found["consecutive_days"].reasons[0].observed == "3"
    # A gap of one working day breaks the run; the weekend between does not fill it.
    assert not warnings_of(policies, *on_days("2026-03-05", "2026-03-07", "2026-03-09", "2026-03-10"))


def test_holidays_and_make_up_days_are_the_banks(policies: PolicyHistory) -> None:
    # Spring Festival 2026 closes from 15 to 23 February; Saturday 14 and Saturday 28 are worked.
    assert "consecutive_days" in warnings_of(policies, *on_days("2026-02-13", "2026-02-14", "2026-02-24"))
    assert not warnings_of(policies, *on_days("2026-02-13", "2026-02-17", "2026-02-24"))


def test_a_run_over_new_year_is_found(policies: PolicyHistory) -> None:
    # 1 and 2 January 2026 are holidays, Sunday 4 January is worked.
    assert "consecutive_days" in warnings_of(policies, *on_days("2025-12-30", "2025-12-31", "2026-01-04"))


def test_one_warning_a_block_of_ten_working_days(policies: PolicyHistory) -> None:
    days = [f"2026-03-{day:02d}" for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13)]
    pipeline = LocalPipeline(policies)
    for event in on_days(*days):
        pipeline.feed("transactions", event)
    runs = [one for one in pipeline.warnings.values() if one.reasons[0].code == "consecutive_days"]
    # 2 March is the 38th working day of 2026: blocks end with the 40th (4 March) and the 50th.
    assert sorted(int(one.reasons[0].observed) for one in runs) == [3, 9]


def test_directions_are_counted_apart_and_cash_is_no_transfer(policies: PolicyHistory) -> None:
    day = "2026-03-02 10:00"
    assert not warnings_of(
        policies,
        transaction("e1", day, LARGE),
        transaction("e2", day, LARGE, direction="in"),
        transaction("e3", day, LARGE, method="cash"),
        transaction("e4", day, LARGE, origin="bank"),
        transaction("e5", day, LARGE),
    )


def suspicious(policies: PolicyHistory, **fields: object) -> list[str]:
    events = [transaction(f"e{n}", "2026-03-02 10:00", LARGE, **fields) for n in range(3)]
    found = warnings_of(policies, *events)["transfers_in_a_day"]
    return [found.severity, *(reason.code for reason in found.reasons[1:])]


def test_a_high_risk_country_raises_one_step(policies: PolicyHistory) -> None:
    assert suspicious(policies) == ["medium"]
    other = Counterparty(account_id="X", country="KP")
    assert suspicious(policies, counterparty=other) == ["high", "high_risk_country"]


def test_the_watch_list_raises_two_steps(policy: Policy) -> None:
    entry = WatchEntry(entry_id="W1", kind="account", value="X9", source="own list", valid_from=date(2026, 3, 2))
    other = Counterparty(account_id="X9")
    assert suspicious(PolicyHistory(policy, watch_list=[entry]), counterparty=other) == ["critical", "watch_list"]
    later = replace(entry, valid_from=date(2026, 3, 3))
    assert suspicious(PolicyHistory(policy, watch_list=[later]), counterparty=other) == ["medium"]


def test_many_payees(policies: PolicyHistory) -> None:
    for payees, severity in ((4, "medium"), (5, "high")):
        events = [transaction(f"e{n}", "2026-03-02 10:00", LARGE, payee=f"P{n}") for n in range(payees)]
        assert warnings_of(policies, *events)["transfers_in_a_day"].severity == severity


def test_new_payees_of_a_customer_known_for_a_month(policies: PolicyHistory) -> None:
    burst = [transaction(f"e{n}", "2026-03-02 10:00", LARGE, payee=f"P{n % 2}") for n in range(3)]
    known = transaction("e-known", "2026-01-31 10:00", "10", payee="landlord")
    assert warnings_of(policies, known, *burst)["transfers_in_a_day"].severity == "high"
    # A customer who is new itself has no normal to differ from.
    assert warnings_of(policies, *burst)["transfers_in_a_day"].severity == "medium"
    # One of the two was dealt with exactly 30 days before: it is not new, and one new payee is not enough.
    dealt = transaction("e-dealt", "2026-01-31 11:00", "10", payee="P1")
    assert warnings_of(policies, known, dealt, *burst)["transfers_in_a_day"].severity == "medium"
    # 31 days before is long ago.
    long_ago = transaction("e-long", "2026-01-30 11:00", "10", payee="P1")
    assert warnings_of(policies, long_ago, known, *burst)["transfers_in_a_day"].severity == "high"
