"""Every shipped policy is sound, and every kind of mistake in one is refused with the place and the remedy."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from models.policy import Amounts, Figure, Policy, PolicyError, parse_policy
from models.policy.checks import parts
from tests.data import ROOT

FOLDER = ROOT / "deploy" / "policy"
SHIPPED = sorted(path.name for path in FOLDER.glob("*.toml"))
CN = (FOLDER / "cn.toml").read_text(encoding="utf-8")
INTERNAL = 'source = "internal"'


def shipped(name: str) -> Policy:
    return parse_policy((FOLDER / name).read_bytes(), name)


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text, "cn.toml")
    message = str(refused.value)
    assert message.startswith("cn.toml: ")
    return message.removeprefix("cn.toml: ")


def table(name: str, old: str, new: str) -> str:
    """The default policy with something replaced in one table, once."""
    head, mark, rest = CN.partition(f"[{name}]\n")
    assert mark, name
    body, following, after = rest.partition("\n[")
    assert old in body, (name, old)
    return f"{head}{mark}{body.replace(old, new, 1)}{following}{after}"


def without(name: str) -> str:
    """The default policy without one table."""
    head, mark, rest = CN.partition(f"[{name}]\n")
    assert mark, name
    return head + "[" + rest.partition("\n[")[2]


def test_the_policies_that_are_shipped() -> None:
    assert {"cn.toml", "us.toml", "eu.toml", "berka.toml"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_figure_has_a_unit_and_a_source(name: str) -> None:
    found = {path: part for path, part in parts(shipped(name)) if isinstance(part, Figure | Amounts)}
    assert len(found) > 60
    for path, part in found.items():
        assert part.source.strip(), path
        assert isinstance(part, Amounts) or part.unit.strip(), path


@pytest.mark.parametrize("name", SHIPPED)
def test_a_policy_by_itself_has_no_watch_list(name: str) -> None:
    policy = shipped(name)
    assert policy.watch_list.entries == ()
    assert policy.rates[policy.money.base] == 1
    assert policy.bank_calendar is shipped(name).bank_calendar


def test_the_law_of_china() -> None:
    policy = shipped("cn.toml")
    large = policy.detectors.large_transaction
    classes = (large.cash, large.entity_transfer, large.person_domestic, large.person_cross_border)
    assert [(one.amounts["CNY"], one.amounts["USD"], one.op, one.reported) for one in classes] == [
        (50_000, 10_000, ">=", True),
        (2_000_000, 200_000, ">=", True),
        (500_000, 100_000, ">=", True),
        (200_000, 10_000, ">=", True),
    ]
    due = policy.response.measures["file_large_transaction_report"].due
    assert due is not None
    assert (due.whole, due.unit) == (5, "working days")


def test_the_law_of_the_united_states() -> None:
    policy = shipped("us.toml")
    large = policy.detectors.large_transaction
    assert (large.cash.amounts, large.cash.op, large.cash.reported) == ({"USD": Decimal(10_000)}, ">", True)
    assert [large.cash.reached(Decimal(value), Decimal(10_000)) for value in ("9999.99", "10000", "10000.01")] == [
        False,
        False,
        True,
    ]
    assert not any(one.reported for one in (large.entity_transfer, large.person_domestic, large.person_cross_border))
    report, decision = (
        policy.response.measures[code].due for code in ("file_large_transaction_report", "decide_on_suspicious_report")
    )
    assert report is not None
    assert decision is not None
    assert [(due.whole, due.unit) for due in (report, decision)] == [(15, "calendar days"), (30, "calendar days")]
    assert policy.detectors.industry_concentration.scheme == "naics"
    assert set(policy.rates) == {"USD", "EUR", "GBP", "CNY", "JPY", "CAD", "KWD"}
    assert policy.detectors.structuring.within.whole == 60


def test_the_law_of_the_european_union() -> None:
    policy = shipped("eu.toml")
    assert policy.policy.valid_from == datetime(2027, 7, 9, 22, tzinfo=UTC)
    assert policy.bank_calendar.day_of(policy.policy.valid_from) == date(2027, 7, 10)
    large = policy.detectors.large_transaction
    assert (large.cash.amounts, large.cash.op, large.cash.reported) == ({"EUR": Decimal(10_000)}, ">", True)
    assert not any(one.reported for one in (large.entity_transfer, large.person_domestic, large.person_cross_border))
    assert policy.detectors.missing_control.identity_from.amounts == {"EUR": Decimal(3_000)}
    assert not policy.bank_calendar.is_working_day(date(2028, 4, 14))  # Good Friday, of TARGET
    assert policy.bank_calendar.is_working_day(date(2028, 5, 25))  # Ascension is not


def test_a_policy_may_come_as_bytes_or_text() -> None:
    assert parse_policy(CN) == parse_policy(CN.encode())


UNKNOWN = "Object contains unknown field"
KEYS = [
    ("policy", "title_en", "titel_en", f'policy: {UNKNOWN} `titel_en` (did you mean "title_en"?)'),
    ("calendar", "timezone", "time_zone", f'calendar: {UNKNOWN} `time_zone` (did you mean "timezone"?)'),
    ("money", "base", "bas", f'money: {UNKNOWN} `bas` (did you mean "base"?)'),
    ("money.rates", "unit", "units", f'money.rates.USD: {UNKNOWN} `units` (did you mean "unit"?)'),
    ("events", "lateness", "latenes", f'events: {UNKNOWN} `latenes` (did you mean "lateness"?)'),
    (
        "detectors.structuring", "near_from", "near_form",
        f'detectors.structuring: {UNKNOWN} `near_form` (did you mean "near_from"?)',
    ),
    (
        "detectors.large_transaction", "amounts =", "amount =",
        f'detectors.large_transaction.cash: {UNKNOWN} `amount` (did you mean "amounts"?)',
    ),
    (
        "response.measures.verify_identity", "effort", "efort",
        f'response.measures.verify_identity: {UNKNOWN} `efort` (did you mean "effort"?)',
    ),
    (
        "response.deadlines.high", "complete", "zzz",
        f"response.deadlines.high: {UNKNOWN} `zzz` (known are acknowledge, complete)",
    ),
    ("response", "operations =", "opertions =",
     "response.owners.opertions: Invalid enum value 'opertions' (did you mean \"operations\"?)"),
    ("detectors.structuring", '"live"', '"on"',
     "detectors.structuring.mode: Invalid enum value 'on' (known are live, shadow, off)"),
    ("detectors.structuring", '["operations"]', '["operations", "credits"]',
     "detectors.structuring.departments[1]: Invalid enum value 'credits' (did you mean \"credit\"?)"),
    ("detectors.structuring", '"medium"', '"med"',
     "detectors.structuring.severity: Invalid enum value 'med' (did you mean \"medium\"?)"),
    ("detectors.industry_concentration", 'warning = "high"', 'warning = "height"',
     "detectors.industry_concentration.severities.warning: Invalid enum value 'height' (did you mean \"high\"?)"),
    ("detectors.industry_concentration", "control =", "limit =",
     "detectors.industry_concentration.severities.limit: Invalid enum value 'limit' "
     "(known are observation, warning, control)"),
    ("detectors.industry_concentration", '"gbt4754"', '"gbt4745"',
     "detectors.industry_concentration.scheme: Invalid enum value 'gbt4745' (did you mean \"gbt4754\"?)"),
    ("detectors.large_transaction", '"PBOC Order 2016 No. 3, art. 5(1)"', '"x", op = ">>"',
     "detectors.large_transaction.cash.op: Invalid enum value '>>'"),
    ("money", '"CNY"', '"Yuan"', "money.base: Expected `str` matching regex '^[A-Z]{3}$'"),
    ("money.rates", "USD =", "usd =", "money.rates.usd: Expected `str` matching regex '^[A-Z]{3}$'"),
    ("counterparties", '"KP"', '"PRK"',
     "counterparties.high_risk_countries[0]: Expected `str` matching regex '^[A-Z]{2}$'"),
    ("money.rates", '"7.10"', '"7,10"', "money.rates.USD.value: Invalid decimal string"),
    ("policy", "T00:00:00+08:00", "T00:00:00",
     "policy.valid_from: Expected `datetime` with a timezone component"),
    ("calendar", "09:00:00", '"nine"', "calendar.opens: Invalid RFC3339 encoded time"),
    ("events", '{ value = 3, unit = "days behind the customer\'s newest event", source = "internal" }', "3",
     "events.lateness: Expected `object`, got `int`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message"), KEYS)
def test_a_wrong_key_or_word_is_named_with_its_place(name: str, old: str, new: str, message: str) -> None:
    assert refusal(table(name, old, new)).startswith(message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("calendar", "Object missing required field `calendar`"),
        ("episodes", "Object missing required field `episodes`"),
        ("detectors.structuring", "detectors: Object missing required field `structuring`"),
        (
            "detectors.industry_concentration.net_capital",
            "detectors.industry_concentration: Object missing required field `net_capital`",
        ),
        ("response.capacity", "response: Object missing required field `capacity`"),
        ("response.deadlines.critical", "response.deadlines lacks critical"),
    ],
)
def test_a_missing_table_is_named(name: str, message: str) -> None:
    assert refusal(without(name)) == message


def test_a_missing_key_is_named() -> None:
    text = table("detectors.structuring", 'severity = "medium"\n', "")
    assert refusal(text) == "detectors.structuring: Object missing required field `severity`"
    text = table("response.measures.verify_identity", f', {INTERNAL.removesuffix(chr(34))} estimate"', "")
    assert refusal(text) == "response.measures.verify_identity.effort: Object missing required field `source`"


def test_what_is_no_toml() -> None:
    assert refusal("[policy").startswith("not TOML: ")
    assert refusal(CN + "\n[policy]\nid = 1\n").startswith("not TOML: ")  # a table given twice
    assert refusal(table("policy", 'id = "cn"', 'id = "cn"\nid = "cn"')).startswith("not TOML: ")
    assert refusal("") == "Object missing required field `policy`"
    with pytest.raises(PolicyError, match=r"^policy: not TOML: "):
        parse_policy(b"\xff\xfe")


L, S, F = "detectors.large_transaction", "detectors.structuring", "detectors.frequent_large_transfers"
G, C, R = "detectors.scatter_gather", "detectors.industry_concentration", "response.deadlines"
E, N, M = "detectors.real_estate_concentration", "detectors.name_concentration", "detectors.misclassification"
CREDIT_RULES = (C, E, N, M, "detectors.approval_during_suspension")
CONTRADICTIONS = [
    # four eyes and days
    ("policy", '"head-of-risk"', '"Risk-policy-officer "', "policy.approved_by must differ from policy.proposed_by"),
    ("policy", "T00:00:00+08:00", "T00:00:01+08:00",
     "policy.valid_from must be the first instant of a day in Asia/Shanghai, such as 2026-01-01T00:00:00+08:00: "
     "windows are judged by whole days"),
    ("policy", "T00:00:00+08:00", "T00:00:00Z",
     "policy.valid_from must be the first instant of a day in Asia/Shanghai, such as 2026-01-01T00:00:00+08:00: "
     "windows are judged by whole days"),
    ("policy", '"cn-2026.1"', '" "', "policy.version must not be empty"),
    # calendar
    ("calendar", '"CN"', '"CM1"', "calendar.country 'CM1' is not known (did you mean 'CM'?)"),
    ("calendar", 'country = "CN"', 'market = "ECBB"', "calendar.market 'ECBB' is not known (did you mean 'ECB'?)"),
    ("calendar", 'country = "CN"', "", "calendar needs either country or market, and not both"),
    ("calendar", "Asia/Shanghai", "Asia/Shanghia",
     "calendar.timezone 'Asia/Shanghia' is not known (did you mean 'Asia/Shanghai'?)"),
    ("calendar", "09:00:00", "17:00:00", "calendar.opens 17:00:00 must be before calendar.closes 17:00:00"),
    # figures
    ("money.rates", '"7.10"', '"-7.10"', "money.rates.USD must be above zero, not -7.10"),
    ("money.rates", '"7.10"', "0", "money.rates.USD must be above zero, not 0"),
    ("money.rates", '"7.10"', '"NaN"', "money.rates.USD must be a finite number, not NaN"),
    ("money.rates", '"7.10"', "inf", "money.rates.USD must be a finite number, not Infinity"),
    ("money.rates", '"CNY per USD"', '""', "money.rates.USD.unit must not be empty"),
    (S, INTERNAL, 'source = " "', f"{S}.near_from.source must not be empty"),
    (L, '"PBOC Order 2016 No. 3, art. 5(1)"', '""', f"{L}.cash.source must not be empty"),
    ("events", "value = 3", "value = 2.5", "events.lateness must be a whole number of 0 or more, not 2.5"),
    ("events", "value = 3", "value = -1", "events.lateness must be a whole number of 0 or more, not -1"),
    ("episodes", "value = 20", "value = 0",
     "episodes.every_event_until must be a whole number of 1 or more, not 0"),
    (S, "value = 2,", "value = 1,", f"{S}.at_least must be a whole number of 2 or more, not 1"),
    (F, "value = 3,", "value = 0,", f"{F}.a_day must be a whole number of 1 or more, not 0"),
    (C, "value = 20,", 'value = "20.5",', f"{C}.minimum_loans must be a whole number of 0 or more, not 20.5"),
    ("response.measures.file_large_transaction_report", "value = 5", "value = 0",
     "response.measures.file_large_transaction_report.due must be a whole number of 1 or more, not 0"),
    ("response.measures.verify_identity", '"0.5"', '"-0.5"',
     "response.measures.verify_identity.effort must be zero or more, not -0.5"),
    ("response.capacity", "value = 64", "value = -64", "response.capacity.operations must be zero or more, not -64"),
    (f"{R}.low", "value = 8", "value = 0", f"{R}.low.acknowledge must be above zero, not 0"),
    ("response", "value = 8", "value = 0", "response.escalate_every must be above zero, not 0"),
    # thresholds and currencies
    (L, 'CNY = "50000", ', "", f"{L}.cash.amounts lacks CNY"),
    (L, ', USD = "10000"', "", f"{L}.cash.amounts lacks USD"),
    (L, '"50000"', '"0"', f"{L}.cash.amounts.CNY must be a finite number above zero, not 0"),
    (L, '"50000"', '"-1"', f"{L}.cash.amounts.CNY must be a finite number above zero, not -1"),
    (L, '"50000"', '"NaN"', f"{L}.cash.amounts.CNY must be a finite number above zero, not NaN"),
    (G, ', USD = "30000"', "", f"{G}.passed_on.amounts lacks USD"),
    ("detectors.missing_control", ', USD = "10000"', "",
     "detectors.missing_control.identity_from.amounts lacks USD"),
    (L, '"50000",', '"50000", XQZ = "1",', f"{L}.cash.amounts.XQZ: 'XQZ' is no ISO 4217 currency code"),
    ("money.rates", "EUR =", "EUX =", "money.rates.EUX: 'EUX' is no ISO 4217 currency code"),
    ("money.rates", "USD =", "SEK =", "money.rates lacks USD, which money.foreign names"),
    ("money.rates", "EUR =", "CNY =",
     "money.rates.CNY must not be given: CNY is money.base, and so worth 1"),
    # bands
    (L, "value = 5,", "value = 1,", f"{L}.medium_from must be above 1 and below high_from"),
    (L, "value = 5,", "value = 20,", f"{L}.medium_from must be above 1 and below high_from"),
    (F, '"0.80"', '"1.01"', f"{F}.large_from must be at most 1: it is a share, such as 0.80"),
    (F, "value = 10,", "value = 2,", f"{F}.consecutive_days must be at most within"),
    (S, '"0.80"', "1", f"{S}.near_from must be below 1: at 1 a transaction is large by itself"),
    (S, '"0.80"', "80", f"{S}.near_from must be below 1: at 1 a transaction is large by itself"),
    (S, '"0.80"', "0", f"{S}.near_from must be above zero, not 0"),
    ("detectors.dormant_reactivation", "value = 365", "value = 6",
     "detectors.dormant_reactivation.dormant_after must be more than twice events.lateness"),
    ("counterparties", "value = 30", "value = 4",
     "counterparties.new_after must be more than a day above events.lateness: late events would decide it"),
    ("counterparties", "value = 90", "value = 101", "counterparties.name_similarity must be at most 100"),
    (f"{C}.share", '"0.20"', '"0.15"', f"{C}.share must rise from observation over warning to control"),
    (f"{C}.net_capital", '"2.00"', '"1.20"', f"{C}.net_capital must rise from observation over warning to control"),
    (f"{C}.share", '"0.25"', "25", f"{C}.share.control must be at most 1: it is a share, such as 0.25"),
    (C, ', control = "critical"', "", f"{C}.severities lacks control"),
    (C, 'observation = "low"', 'observation = "critical"',
     f"{C}.severities must not fall from observation over warning to control"),
    (C, '"0.01"', '"0.15"',
     f"{C}.growth.share_from must be at least release and below 1: it is a share, such as 0.05; "
     f"{C}.release must be below share.observation"),
    (f"{E}.total.figures", '"0.2025"', '"0.225"',
     f"{E}.total.figures must rise from observation over warning to control"),
    (f"{E}.mortgage", '"0"', '"0.826"',
     f"{E}.mortgage.figures.control must be at most 1 with its allowance: it is a share of the book"),
    (f"{E}.total", '"0"', '"-0.01"', f"{E}.total.allowance must be zero or more, not -0.01"),
    (f"{N}.group.figures", '"0.15"', '"0.135"',
     f"{N}.group.figures must rise from observation over warning to control"),
    (f"{N}.single", 'basis = "net_capital"', 'basis = "capital"', f"{N}.single.basis: Invalid enum value 'capital' "
     "(did you mean \"net_capital\"?)"),
    (N, ', control = "critical"', "", f"{N}.severities lacks control"),
    (N, '"0.02"', "1", f"{N}.release must be below 1: it is a share of a level's figure, such as 0.05"),
    (M, "value = 90", "value = 270",
     f"{M} must rise from special_mention_after over substandard_after and doubtful_after to loss_after"),
    (M, '"0.10"', "10", f"{M}.contagion_from must be below 1: it is a share, such as 0.10"),
    (M, 'grave_severity = "high"', 'grave_severity = "low"',
     f"{M}.grave_severity must not be milder than severity"),
    ("episodes", "value = 80", "value = 56",
     "episodes.remember must be at least 57 days for the window of structuring and the lateness"),
    # deadlines
    (f"{R}.low", "value = 8", "value = 41", f"{R}.low.acknowledge must not be after complete"),
    (f"{R}.critical", "value = 8", "value = 17", f"{R}.critical.complete must not be longer than that of high"),
    (f"{R}.high", "value = 2", "value = 5", f"{R}.high.acknowledge must not be longer than that of medium"),
    ("response.measures.file_large_transaction_report", '"working days"', '"days"',
     "response.measures.file_large_transaction_report.due.unit must be working days or calendar days, not days"),
    ("response", "remind_before = { value = 1,", "remind_before = { value = 0,",
     "response.remind_before must be above zero, not 0"),
    ("response", 'remind_before = { value = 1, unit = "working ', 'remind_before = { value = 1, unit = "',
     "response.remind_before.unit must be working hours, not hours"),
    # roles and order
    ("response", '["supervisor", "manager"]', "[]",
     "response.roles.approve is empty: name who may approve, or leave it out for everybody"),
    ("response", '["supervisor", "manager"]', '["manager", "manager"]',
     "response.roles.approve names manager more than once"),
    ("response", '["supervisor", "manager"]', '[" "]', "response.roles.approve must not hold an empty text"),
    ("response.measures.strengthen_post_loan_care", '"review_granted_loans"', '"review_loans"',
     "response.measures.strengthen_post_loan_care.after names review_loans, which response.measures lacks"),
    ("response.measures.strengthen_post_loan_care", '"review_granted_loans"', '"strengthen_post_loan_care"',
     "response.measures: strengthen_post_loan_care, after strengthen_post_loan_care: none of them could be completed"),
    # routes
    (S, '"verify_identity"', '"verify_identty"',
     f"{S}.measures names verify_identty, which response.measures lacks"),
    (S, '["operations"]', "[]", f"{S}.departments is empty: a rule that is live needs somebody to tell"),
    (S, '"verify_identity"', '"investigate_transactions"',
     f"{S}.measures names investigate_transactions more than once"),
    (S, '["operations"]', '["operations", "operations"]', f"{S}.departments names operations more than once"),
    (L, '"loan_swap"', '"interbank_market", "loan_swap"',
     f"{L}.exempt_purposes names interbank_market more than once"),
    (L, '"loan_swap"', '""', f"{L}.exempt_purposes must not hold an empty text"),
    ("counterparties", '"IR"', '"KP"', "counterparties.high_risk_countries names KP more than once"),
    ("response", 'product = "product-duty-officer"', 'product = ""', "response.owners.product must not be empty"),
    ("response.capacity", "credit =", "# credit =",
     "; ".join(f"{one}.departments names credit, which response.capacity lacks" for one in CREDIT_RULES)),
    ("response.measures.verify_identity", '"检查客户身份识别"', '""',
     "response.measures.verify_identity.zh must not be empty"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message"), CONTRADICTIONS)
def test_a_contradiction_is_named_with_its_place(name: str, old: str, new: str, message: str) -> None:
    assert refusal(table(name, old, new)) == message


def test_a_rule_of_limits_needs_one_unless_it_is_off() -> None:
    text = CN
    for name in ("total", "mortgage"):
        text = text.replace(f"[{E}.{name}", f"[unused.{name}")
    kept, _, rest = text.partition("[unused.total]")
    text = kept + "[detectors.name_concentration]" + rest.partition("[detectors.name_concentration]")[2]
    assert refusal(text) == f"{E} has no limit: give one, or set its mode to off"
    table_of_rule = text[text.index(f"[{E}]") :]
    parse_policy(text.replace(table_of_rule, table_of_rule.replace('mode = "live"', 'mode = "off"', 1)))


def test_a_department_without_an_owner() -> None:
    text = table("response", 'credit = "credit-duty-officer", ', "")
    assert refusal(text) == "; ".join(
        [f"response.measures.{code}.department is credit, which response.owners lacks" for code in (
            "suspend_approvals", "review_granted_loans", "strengthen_post_loan_care", "adjust_classification",
            "mitigate_exposure",
        )]
        + [f"{one}.departments names credit, which response.owners lacks" for one in CREDIT_RULES]
    )  # fmt: skip


def test_measures_that_wait_for_one_another() -> None:
    """Three in a circle; two that wait for the same one are none."""
    text = CN
    for code, after in (("verify_identity", "verify_approval"), ("verify_approval", "put_rate"), ("put_rate", None)):
        line = f'after = ["{after or "verify_identity"}"]'
        text = text.replace(f"[response.measures.{code}]\n", f"[response.measures.{code}]\n{line}\n")
    assert refusal(text) == (
        "response.measures: verify_identity, after verify_approval, after put_rate, after verify_identity: "
        "none of them could be completed"
    )
    parse_policy(text.replace('after = ["verify_identity"]\n', ""))


def test_what_takes_two_and_who_may() -> None:
    for name in SHIPPED:
        response = shipped(name).response
        assert response.four_eyes == ("dismiss", "reopen")
        assert response.roles == {"approve": ("supervisor", "manager"), "assign": ("officer", "supervisor", "manager")}
        assert response.remind_before is not None
        assert (response.remind_before.whole, response.remind_before.unit) == (1, "working hours")
        assert response.measures["adjust_classification"].countersign
        assert response.measures["strengthen_post_loan_care"].after == ("review_granted_loans",)
    for name in ("us.toml", "eu.toml"):
        assert shipped(name).response.measures["decide_on_suspicious_report"].countersign


def test_a_policy_of_before_is_read() -> None:
    text = CN.replace("countersign = true\n", "").replace('after = ["review_granted_loans"]\n', "")
    for key in ("four_eyes", "remind_before", "roles"):
        head, _, rest = text.partition(f"{key} = ")
        text = head + rest.partition("\n")[2]
    response = parse_policy(text).response
    assert (response.four_eyes, response.roles, response.remind_before) == (("dismiss", "reopen"), {}, None)
    assert not any(one.countersign or one.after for one in response.measures.values())


def test_all_contradictions_are_told_at_once() -> None:
    text = table("policy", '"head-of-risk"', '"risk-policy-officer"').replace('"0.80"', "1")
    assert refusal(text).split("; ")[:2] == [
        "policy.approved_by must differ from policy.proposed_by",
        "detectors.structuring.near_from must be below 1: at 1 a transaction is large by itself",
    ]


def test_what_is_allowed() -> None:
    """At the edges: equal deadlines, a rule that is off and tells nobody, no lateness, no effort, a share of one."""
    for name, old, new in [
        (f"{R}.high", "value = 16", "value = 24"),
        (f"{R}.low", "value = 8", "value = 40"),
        (S, 'mode = "live"\ndepartments = ["operations"]', 'mode = "off"\ndepartments = []'),
        ("events", "value = 3", "value = 0"),
        ("response.measures.verify_identity", '"0.5"', "0"),
        (F, '"0.80"', "1"),
        (f"{C}.share", '"0.25"', "1"),
        ("episodes", "value = 80", "value = 57"),
        ("policy", "2026-01-01T00:00:00+08:00", "2025-12-31T16:00:00Z"),
    ]:
        assert parse_policy(table(name, old, new)).policy.id == "cn"


def test_midnight_where_the_clock_skips_it_or_shows_it_twice() -> None:
    zones = CN.replace('"CN"', '"EG"').replace("Asia/Shanghai", "Africa/Cairo")
    change = "2026-01-01T00:00:00+08:00", "2026-04-24T01:00:00+03:00"
    assert parse_policy(zones.replace(*change)).policy.valid_from == datetime(2026, 4, 23, 22, tzinfo=UTC)
    havana = CN.replace('"CN"', '"CU"').replace("Asia/Shanghai", "America/Havana")
    parse_policy(havana.replace(change[0], "2026-11-01T00:00:00-04:00"))
    assert "such as 2026-11-01T00:00:00-04:00" in refusal(havana.replace(change[0], "2026-11-01T00:00:00-05:00"))
