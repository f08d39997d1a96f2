"""A post's report and a machine's warning on the same customer raise each other.

Works on episodes already made, so that no detector knows another. Source: the policy on linked posts, 5(2)1:
the teller's observation and the model's signal are to be acted on together.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from models.episodes import Episode
from models.policy import PolicyHistory, Rule

REPORT = "teller_report"
# What posts report beside it says nothing of what machines look for.
UNRELATED = frozenset({"system_fault", "clearing_exception", "complaint", "referral", "financing_need"})


def corroborate(episodes: Iterable[Episode], changed: Episode, policies: PolicyHistory) -> list[Episode]:
    """Pair the episode that has just changed with those that say the same.

    A report pairs with a machine's warning when its day is at most `corroborated_within` days before or after
    the warning's window. Windows only grow, so a pair once made stays one. A large transaction of low severity
    is routine filing and pairs with nothing; nor does a rule that is not live on the report's day.

    Returns:
        The episodes that got a new partner (the changed one among them).
    """
    touched: list[Episode] = []
    if changed.detector in UNRELATED:
        return touched
    for other in episodes:
        if other.detector in UNRELATED or (changed.detector == REPORT) == (other.detector == REPORT):
            continue
        report, machine = (changed, other) if changed.detector == REPORT else (other, changed)
        if machine.detector == "large_transaction" and machine.severity == "low":
            continue
        (first, last), (reported, _) = days_of(machine, policies), days_of(report, policies)
        rules = policies.on(reported).detectors
        within = timedelta(days=rules.teller_report.corroborated_within.whole)
        machine_rule: Rule = getattr(rules, machine.detector)
        live = rules.teller_report.mode == machine_rule.mode == "live"
        if not live or not first - within <= reported <= last + within:
            continue
        for one, partner in ((changed, other.id), (other, changed.id)):
            if partner not in one.partners:
                one.partners = tuple(sorted((*one.partners, partner)))
                if one not in touched:
                    touched.append(one)
    return touched


def days_of(episode: Episode, policies: PolicyHistory) -> tuple[date, date]:
    """The first and the last day of the episode's window."""
    window, calendar = episode.finding.window, policies.latest.bank_calendar
    return calendar.day_of(window.start), calendar.day_of(window.end - timedelta(microseconds=1))
