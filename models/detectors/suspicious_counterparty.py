"""Suspicious counterparties: on a watch list, in a high-risk country, or many or new ones paid on one day.

Source: the policy on linked posts, part 5(2)1, example: payees that look odd. The countries are the FATF's.
"""

from datetime import date, datetime, timedelta

from msgspec import Struct, field

from models.detectors.amounts import measure_against
from models.detectors.counterparties import Dealings, payee_of
from models.detectors.day_evidence import DayEvidence
from models.detectors.settled import settled
from models.events import Transaction
from models.policy import Policy, PolicyHistory
from models.policy import SuspiciousCounterparty as Rule
from models.risk_warning import Finding, Reason, raised
from models.texts import VERBS, plural

KINDS = {"account": ("账号", "account"), "name": ("名称", "name"), "country": ("国家或地区", "country")}
# Entries named in one warning; the watch list names all of them.
MAX_NAMED = 20


class Hit(Struct):
    """An entry of the watch list, and how many transactions of the day were with it."""

    kind: str
    value: str
    source: str
    count: int = 0


class ListedDay(DayEvidence):
    """Transactions with counterparties on the watch list; hits by entry_id."""

    hits: dict[str, Hit] = field(default_factory=dict)


class CountryDay(DayEvidence):
    """Transactions with counterparties in high-risk countries."""

    countries: dict[str, int] = field(default_factory=dict)


class PayeesDay(DayEvidence):
    """Payments that are not small; by payee whether it is new."""

    payees: dict[str, bool] = field(default_factory=dict)
    new: int = 0


class SuspiciousCounterpartyState(Struct):
    """An entry a day and kind inside the lateness; dealings over `new_after` days more."""

    listed: dict[str, ListedDay] = field(default_factory=dict)
    countries: dict[str, CountryDay] = field(default_factory=dict)
    payees: dict[str, PayeesDay] = field(default_factory=dict)
    dealings: Dealings = field(default_factory=Dealings)


class SuspiciousCounterparty:
    """Three rules over a customer's day: `listed`, `country` and `payees`.

    Days only fill up, and whether a payee is new is asked of days from which nothing can come any more, so the
    same events give the same findings in any order.
    """

    id = "suspicious_counterparty"
    version = 1
    consumes = Transaction
    state_type = SuspiciousCounterpartyState

    def rule(self, policy: Policy) -> Rule:
        return policy.detectors.suspicious_counterparty

    def step(
        self, state: SuspiciousCounterpartyState, event: Transaction, policy: Policy, policies: PolicyHistory
    ) -> list[Finding]:
        if event.origin != "customer":
            return []
        day = policy.bank_calendar.day_of(event.event_time)
        payee = payee_of(event)
        state.dealings.note(payee, day)
        found = (
            self._listed(state, event, day, policy),
            self._country(state, event, day, policy),
            self._payees(state, event, day, payee, policy, policies),
        )
        return [finding for finding in found if finding is not None]

    def expire(self, state: SuspiciousCounterpartyState, before: datetime, policies: PolicyHistory) -> None:
        oldest = policies.latest.bank_calendar.day_of(before)
        state.listed = {key: one for key, one in state.listed.items() if one.day >= oldest}
        state.countries = {key: one for key, one in state.countries.items() if one.day >= oldest}
        state.payees = {key: one for key, one in state.payees.items() if one.day >= oldest}
        state.dealings.forget(oldest - timedelta(days=policies.longest(lambda one: one.counterparties.new_after.whole)))

    def _listed(
        self, state: SuspiciousCounterpartyState, event: Transaction, day: date, policy: Policy
    ) -> Finding | None:
        entry = policy.watch_list.match(event.counterparty)
        if entry is None:
            return None
        listed = state.listed.setdefault(str(day), ListedDay(day))
        listed.take(event)
        listed.hits.setdefault(entry.entry_id, Hit(entry.kind, entry.value, entry.source)).count += 1
        rule = policy.detectors.suspicious_counterparty
        reasons = tuple(_listed_reason(day, name, listed.hits[name]) for name in sorted(listed.hits)[:MAX_NAMED])
        return listed.finding("listed", event, rule.listed_severity, reasons, rule, policy)

    def _country(
        self, state: SuspiciousCounterpartyState, event: Transaction, day: date, policy: Policy
    ) -> Finding | None:
        rule = policy.detectors.suspicious_counterparty
        country = event.counterparty.country if event.counterparty else None
        if country is None or country not in policy.counterparties.high_risk_countries:
            return None
        measured = measure_against(event, rule.country_from, policy)
        if not measured.reaches():
            return None
        dealt = state.countries.setdefault(str(day), CountryDay(day))
        dealt.take(event, measured)
        dealt.countries[country] = dealt.countries.get(country, 0) + 1
        return dealt.finding("country", event, rule.severity, (_country_reason(dealt, rule),), rule, policy)

    def _payees(
        self,
        state: SuspiciousCounterpartyState,
        event: Transaction,
        day: date,
        payee: str,
        policy: Policy,
        policies: PolicyHistory,
    ) -> Finding | None:
        rule = policy.detectors.suspicious_counterparty
        if event.direction != "out" or event.method != "transfer" or not payee:
            return None
        if not measure_against(event, rule.payee_from, policy).reaches():
            return None
        paid = state.payees.setdefault(str(day), PayeesDay(day))
        paid.take(event)
        if payee not in paid.payees:
            after = timedelta(days=policy.counterparties.new_after.whole)
            new = paid.payees[payee] = state.dealings.is_new(payee, day, after, until=settled(day, policies))
            paid.new += new
        reasons = _payees_reasons(paid, policy)
        if not reasons:
            return None
        severity = raised(rule.severity, len(reasons) - 1)
        return paid.finding("payees", event, severity, reasons, rule, policy)


def _listed_reason(day: date, entry_id: str, hit: Hit) -> Reason:
    kind_zh, kind_en = KINDS[hit.kind]
    return Reason(
        code="watch_list",
        observed=str(hit.count),
        threshold="1",
        unit="transactions",
        text_zh=f"{day}有{hit.count}笔交易的对手方与监控名单条目{entry_id}相符（{hit.source}，{kind_zh}“{hit.value}”）。",
        text_en=f"{plural(hit.count, 'transaction')} on {day} with a counterparty that matches {entry_id} of the "
        f'watch list ({hit.source}, {kind_en} "{hit.value}").',
    )


def _country_reason(dealt: CountryDay, rule: Rule) -> Reason:
    largest, names = dealt.largest, sorted(dealt.countries)
    verb_zh, verb_en = VERBS[rule.country_from.op]
    many = dealt.count > 1
    return Reason(
        code="high_risk_country",
        observed=largest.observed,
        threshold=largest.limit,
        unit=largest.bucket,
        text_zh=f"{dealt.day}有{dealt.count}笔交易的对手方位于高风险国家或地区（{'、'.join(names)}），"
        f"{'最大一笔' if many else ''}{largest.observed} {largest.bucket}，"
        f"{verb_zh}标准{largest.limit} {largest.bucket}。",
        text_en=f"{plural(dealt.count, 'transaction')} on {dealt.day} with high-risk countries ({', '.join(names)}), "
        f"{'the largest ' if many else ''}of {largest.observed} {largest.bucket}, {verb_en} the threshold of "
        f"{largest.limit} {largest.bucket}.",
    )


def _payees_reasons(paid: PayeesDay, policy: Policy) -> tuple[Reason, ...]:
    rule, after = policy.detectors.suspicious_counterparty, policy.counterparties.new_after.whole
    count, many, new_from = len(paid.payees), rule.many_payees.whole, rule.new_payees.whole
    reasons = []
    if count >= many:
        reasons.append(
            Reason(
                code="many_payees",
                observed=str(count),
                threshold=str(many),
                unit="counterparties",
                text_zh=f"{paid.day}向{count}个不同的收款方付款，达到{many}个。",
                text_en=f"Payments to {plural(count, 'payee')} on {paid.day}; {many} or more are many.",
            )
        )
    if paid.new >= new_from:
        reasons.append(
            Reason(
                code="new_payees",
                observed=str(paid.new),
                threshold=str(new_from),
                unit="counterparties",
                text_zh=f"{paid.day}的收款方中有{paid.new}个在此前{after}天内没有往来，达到{new_from}个。",
                text_en=f"Payments to {plural(paid.new, 'payee')} on {paid.day} without a dealing in the {after} days "
                f"before; {new_from} or more are suspicious.",
            )
        )
    return tuple(reasons)
