"""What no type can say of a policy: order of bands, coverage of thresholds and routes, four eyes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

from models.money import InvalidField, currency_places
from models.policy.figures import LEVELS, Amounts, Figure, LevelFigures, parts
from models.policy.response import Deadlines
from models.policy.rules import MAX_BUDGET, MAX_GROWTH_MONTHS, Limit, Limits, Rule
from models.policy.version import Detectors, Policy
from models.risk_warning import SEVERITIES, severity_rank

DUE_UNITS = ("working days", "calendar days")
# Names of the figures that are read as counts, with the least that makes sense.
_COUNTS = {
    "lateness": 0, "future_tolerance": 0, "every_event_until": 1, "renotify_after": 0, "remember": 1, "new_after": 1,
    "name_similarity": 1, "a_day": 1, "consecutive_days": 1, "within": 1, "many_payees": 1, "new_payees": 1,
    "at_least": 2, "many_payers": 1, "few": 1, "dormant_after": 1, "watch": 1, "corroborated_within": 0,
    "minimum_loans": 0, "due": 1, "special_mention_after": 0, "substandard_after": 1,
    "doubtful_after": 1, "loss_after": 1, "learn": 1, "grace": 0, "months": 1,
    "days": 1, "each": 1, "resample": 1, "resample_days": 1,
}  # fmt: skip
MODEL_HASH = re.compile("[0-9a-f]{64}")  # SHA-256 of a model's bytes, which is its name
_MAY_BE_ZERO = ("minimum_book", "release", "capacity", "effort", "times_usual", "allowance", "growth")


def contradictions(policy: Policy) -> Iterator[str]:
    """Each contradiction as a sentence that names the key."""
    unusable = list(_figures(policy))
    yield from unusable
    if unusable:
        return  # what is not even a number cannot be compared with another
    yield from _head(policy)
    yield from _lists(policy)
    yield from _money(policy)
    yield from _customers(policy)
    yield from _activity(policy)
    yield from _anomaly(policy)
    yield from _industries(policy)
    yield from _limits(policy)
    yield from _memory(policy)
    yield from _deadlines(policy)
    yield from _measures(policy)
    yield from _routes(policy)


def _figures(policy: Policy) -> Iterator[str]:
    for path, part in parts(policy):
        if isinstance(part, Figure):
            yield from _figure(path, part)
        if isinstance(part, str) and not part.strip():
            yield f"{path} must not be empty"
        if isinstance(part, Amounts):
            for code, amount in part.amounts.items():
                if not (amount.is_finite() and amount > 0):
                    yield f"{path}.amounts.{code} must be a finite number above zero, not {amount}"


def _figure(path: str, figure: Figure) -> Iterator[str]:
    above, name = path.split(".")[-2:]
    value = figure.value
    if not value.is_finite():
        yield f"{path} must be a finite number, not {value}"
    elif name in _COUNTS:
        if value != value.to_integral_value() or value < _COUNTS[name]:
            yield f"{path} must be a whole number of {_COUNTS[name]} or more, not {value}"
    elif name in _MAY_BE_ZERO or above in _MAY_BE_ZERO:
        if value < 0:
            yield f"{path} must be zero or more, not {value}"
    elif value <= 0:
        yield f"{path} must be above zero, not {value}"


def _head(policy: Policy) -> Iterator[str]:
    head, calendar = policy.policy, policy.bank_calendar
    if head.proposed_by.strip().casefold() == head.approved_by.strip().casefold():
        yield "policy.approved_by must differ from policy.proposed_by"
    if head.replaces == head.version:
        yield "policy.replaces must name another version than policy.version"
    midnight = calendar.day_window(calendar.day_of(head.valid_from))[0]
    # In UTC: an hour that the clock shows twice is never equal to a time of another zone.
    if midnight.astimezone(UTC) != head.valid_from.astimezone(UTC):
        yield (
            f"policy.valid_from must be the first instant of a day in {policy.calendar.timezone}, "
            f"such as {midnight.isoformat()}: windows are judged by whole days"
        )


def _lists(policy: Policy) -> Iterator[str]:
    for path, part in parts(policy):
        if isinstance(part, tuple):
            twice = sorted({str(one) for one in part if part.count(one) > 1})
            if twice:
                yield f"{path} names {', '.join(twice)} more than once"
            if any(isinstance(one, str) and not one.strip() for one in part):
                yield f"{path} must not hold an empty text"


def _money(policy: Policy) -> Iterator[str]:
    base, foreign = policy.money.base, policy.money.foreign
    if foreign not in policy.rates:
        yield f"money.rates lacks {foreign}, which money.foreign names"
    if base in policy.money.rates:
        yield f"money.rates.{base} must not be given: {base} is money.base, and so worth 1"
    used = {"money.base": base, "money.foreign": foreign}
    used |= {f"money.rates.{code}": code for code in policy.money.rates}
    for path, part in parts(policy):
        if isinstance(part, Amounts):
            used |= {f"{path}.amounts.{code}": code for code in part.amounts}
            for needed in dict.fromkeys((base, foreign)):
                if needed not in part.amounts:
                    yield f"{path}.amounts lacks {needed}"
    for path, code in used.items():
        try:
            currency_places(code)
        except InvalidField as error:
            yield f"{path}: {error.detail}"


def _customers(policy: Policy) -> Iterator[str]:
    rules = policy.detectors
    large = rules.large_transaction
    if not 1 < large.medium_from.value < large.high_from.value:
        yield "detectors.large_transaction.medium_from must be above 1 and below high_from"
    frequent = rules.frequent_large_transfers
    if frequent.large_from.value > 1:
        yield "detectors.frequent_large_transfers.large_from must be at most 1: it is a share, such as 0.80"
    if frequent.consecutive_days.whole > frequent.within.whole:
        yield "detectors.frequent_large_transfers.consecutive_days must be at most within"
    if rules.structuring.near_from.value >= 1:
        yield "detectors.structuring.near_from must be below 1: at 1 a transaction is large by itself"
    if (heightened := policy.heightened) is not None:
        for name, table, usual in (
            ("large_from", "frequent_large_transfers", frequent.large_from),
            ("a_day", "frequent_large_transfers", frequent.a_day),
            ("near_from", "structuring", rules.structuring.near_from),
        ):
            if getattr(heightened, name).value > usual.value:
                yield f"heightened.{name} must be at most detectors.{table}.{name}: a report makes no rule milder"
    scatter = rules.scatter_gather
    if scatter.few.whole >= min(scatter.many_payers.whole, scatter.many_payees.whole):
        yield "detectors.scatter_gather.few must be below many_payers and many_payees"
    if scatter.within.whole < policy.events.lateness.whole + 2:
        yield "detectors.scatter_gather.within must be two days or more above events.lateness"
    if scatter.share.value > 1:
        yield "detectors.scatter_gather.share must be at most 1: it is a share, such as 0.80"
    if rules.dormant_reactivation.dormant_after.whole <= 2 * policy.events.lateness.whole:
        yield "detectors.dormant_reactivation.dormant_after must be more than twice events.lateness"
    if policy.counterparties.new_after.whole <= policy.events.lateness.whole + 1:
        yield "counterparties.new_after must be more than a day above events.lateness: late events would decide it"
    if policy.counterparties.name_similarity.whole > 100:
        yield "counterparties.name_similarity must be at most 100"


def _anomaly(policy: Policy) -> Iterator[str]:
    rule = policy.detectors.anomaly
    if not 0 < rule.budget.value <= MAX_BUDGET:
        yield f"detectors.anomaly.budget must be above 0 and at most {MAX_BUDGET} warnings a day"
    for name, value in (("model", rule.model), ("challenger", rule.challenger)):
        if value is not None and not MODEL_HASH.fullmatch(value):
            yield f"detectors.anomaly.{name} must be the 64 digits of a model's hash, as `liandong models list` shows"
    if rule.model is not None and rule.model == rule.challenger:
        yield "detectors.anomaly.challenger must be another model than model"


def _activity(policy: Policy) -> Iterator[str]:
    silence = policy.detectors.silence
    if silence.low.value >= 1:
        yield "detectors.silence.low must be below 1: it is a share of the usual number, such as 0.25"
    if silence.high.value <= 1:
        yield "detectors.silence.high must be above 1: it is how many times the usual number, such as 4"
    if severity_rank(silence.severities.silent) < severity_rank(silence.severities.outside):
        yield "detectors.silence.severities.silent must not be milder than outside"


def _industries(policy: Policy) -> Iterator[str]:
    table, industry = "detectors.industry_concentration", policy.detectors.industry_concentration
    for name in ("share", "net_capital"):
        levels: LevelFigures = getattr(industry, name)
        if not levels.observation.value < levels.warning.value < levels.control.value:
            yield f"{table}.{name} must rise from observation over warning to control"
    for level in LEVELS:
        if industry.share[level] > 1:
            yield f"{table}.share.{level} must be at most 1: it is a share, such as 0.25"
    if industry.growth is not None:
        figures = industry.growth.figures
        if not figures.observation.value < figures.warning.value < figures.control.value:
            yield f"{table}.growth.figures must rise from observation over warning to control"
        if industry.growth.months.whole > MAX_GROWTH_MONTHS:
            yield f"{table}.growth.months must be at most {MAX_GROWTH_MONTHS}"
        if not industry.release.value <= industry.growth.share_from.value < 1:
            yield f"{table}.growth.share_from must be at least release and below 1: it is a share, such as 0.05"
    if (hhi := industry.hhi) is not None:
        if not hhi.observation.value < hhi.warning.value < hhi.control.value <= 1:
            yield f"{table}.hhi must rise from observation over warning to control, which is at most 1"
    yield from _severities(f"{table}.severities", industry.severities)
    if industry.release.value >= industry.share.observation.value:
        yield f"{table}.release must be below share.observation"


def _limits(policy: Policy) -> Iterator[str]:
    for name in ("real_estate_concentration", "name_concentration"):
        rule: Limits = getattr(policy.detectors, name)
        table = f"detectors.{name}"
        limits = {key: part for key, part in _tables(rule) if isinstance(part, Limit)}
        if rule.mode != "off" and not limits:
            yield f"{table} has no limit: give one, or set its mode to off"
        for key, limit in limits.items():
            figures = limit.figures
            if not figures.observation.value < figures.warning.value < figures.control.value:
                yield f"{table}.{key}.figures must rise from observation over warning to control"
            if limit.basis == "book" and figures.control.value + (limit.allowance.value if limit.allowance else 0) > 1:
                yield f"{table}.{key}.figures.control must be at most 1 with its allowance: it is a share of the book"
        yield from _severities(f"{table}.severities", rule.severities)
        if rule.release.value >= 1:
            yield f"{table}.release must be below 1: it is a share of a level's figure, such as 0.05"
    for name, figure in (("pd", policy.credit.pd), ("lgd", policy.credit.lgd)):
        if figure.value > 1:
            yield f"credit.{name} must be at most 1: it is a share, such as 0.01"
    overdue, table = policy.detectors.misclassification, "detectors.misclassification"
    days = (overdue.special_mention_after, overdue.substandard_after, overdue.doubtful_after, overdue.loss_after)
    if any(milder.value >= graver.value for milder, graver in pairwise(days)):
        yield f"{table} must rise from special_mention_after over substandard_after and doubtful_after to loss_after"
    if overdue.contagion_from.value >= 1:
        yield f"{table}.contagion_from must be below 1: it is a share, such as 0.10"
    if severity_rank(overdue.grave_severity) < severity_rank(overdue.severity):
        yield f"{table}.grave_severity must not be milder than severity"


def _tables(rule: Rule) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(rule, name)) for name in rule.__struct_fields__)


def _severities(path: str, severities: Mapping[Any, Any]) -> Iterator[str]:
    if missing := [level for level in LEVELS if level not in severities]:
        yield f"{path} lacks {', '.join(missing)}"
        return
    ranks = [severity_rank(severities[level]) for level in LEVELS]
    if ranks != sorted(ranks):
        yield f"{path} must not fall from observation over warning to control"


def _memory(policy: Policy) -> Iterator[str]:
    rules = policy.detectors
    late = policy.events.lateness.whole + rules.teller_report.corroborated_within.whole
    # A block of working days with holidays in it lasts about twice as many days.
    windows = {
        "frequent_large_transfers": 2
        * (rules.frequent_large_transfers.within.whole + rules.frequent_large_transfers.consecutive_days.whole),
        "structuring": 4 * rules.structuring.within.whole,
        "scatter_gather": 2 * rules.scatter_gather.within.whole,
        "dormant_reactivation": rules.dormant_reactivation.watch.whole,
    }
    for name, days in windows.items():
        if policy.episodes.remember.whole < late + days:
            yield f"episodes.remember must be at least {late + days} days for the window of {name} and the lateness"


def _deadlines(policy: Policy) -> Iterator[str]:
    deadlines: Mapping[Any, Deadlines] = policy.response.deadlines
    if missing := [severity for severity in SEVERITIES if severity not in deadlines]:
        yield f"response.deadlines lacks {', '.join(missing)}"
        return
    for severity in SEVERITIES:
        if deadlines[severity].acknowledge.value > deadlines[severity].complete.value:
            yield f"response.deadlines.{severity}.acknowledge must not be after complete"
    for milder, graver in pairwise(SEVERITIES):
        for name in ("acknowledge", "complete"):
            if getattr(deadlines[graver], name).value > getattr(deadlines[milder], name).value:
                yield f"response.deadlines.{graver}.{name} must not be longer than that of {milder}"


def _measures(policy: Policy) -> Iterator[str]:
    response = policy.response
    for code, measure in response.measures.items():
        if measure.due is not None and measure.due.unit not in DUE_UNITS:
            yield f"response.measures.{code}.due.unit must be {' or '.join(DUE_UNITS)}, not {measure.due.unit}"
        if measure.department not in response.owners:
            yield f"response.measures.{code}.department is {measure.department}, which response.owners lacks"
        yield from _unknown(f"response.measures.{code}.after", measure.after, response.measures, "response.measures")
        rectified_by = (measure.rectified_by,) if measure.rectified_by is not None else ()
        yield from _unknown(
            f"response.measures.{code}.rectified_by", rectified_by, response.measures, "response.measures"
        )
    if (circle := _circle({code: measure.after for code, measure in response.measures.items()})) is not None:
        yield f"response.measures: {', after '.join(circle)}: none of them could be completed"


def _routes(policy: Policy) -> Iterator[str]:
    response = policy.response
    for kind, roles in response.roles.items():
        if not roles:
            yield f"response.roles.{kind} is empty: name who may {kind}, or leave it out for everybody"
    if response.remind_before is not None and response.remind_before.unit != "working hours":
        yield f"response.remind_before.unit must be working hours, not {response.remind_before.unit}"
    if (confidential := response.confidential) is not None:
        known = dict.fromkeys(Detectors.__struct_fields__)
        yield from _unknown("response.confidential.detectors", confidential.detectors, known, "detectors")
        if not confidential.roles:
            yield "response.confidential.roles is empty: nobody could see a confidential case"
    for name in Detectors.__struct_fields__:
        rule: Rule = getattr(policy.detectors, name)
        if rule.mode != "off" and not rule.departments:
            yield f"detectors.{name}.departments is empty: a rule that is {rule.mode} needs somebody to tell"
        yield from _unknown(f"detectors.{name}.measures", rule.measures, response.measures, "response.measures")
        yield from _unknown(f"detectors.{name}.departments", rule.departments, response.owners, "response.owners")
        yield from _unknown(f"detectors.{name}.departments", rule.departments, response.capacity, "response.capacity")


def _circle(after: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Names of which each waits for the next, and the last for the first; None where there are none."""
    free: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in free:
            return None
        found = (walk(other, [*path, name]) for other in after.get(name, ()))
        circle = next((one for one in found if one is not None), None)
        free.add(name)
        return circle

    return next((circle for name in after if (circle := walk(name, [])) is not None), None)


def _unknown(path: str, names: Sequence[str], known: Mapping[Any, object], where: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{path} names {name}, which {where} lacks"
