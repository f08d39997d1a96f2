"""The account of a day, for a terminal: what came in, which warnings went where and why, who acted, who was late."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors.account_texts import WORDS, Language, say
from connectors.sources.simulator.outcome import answer_of
from connectors.sources.simulator.script import Step
from models.credit.industry import industry_name
from models.dead_letter import DeadLetter
from models.messages import PortfolioEntry
from models.policy import Policy
from models.response.case import SYSTEM, Case, Task
from models.revisions import newest
from models.risk_warning import RiskWarning, severity_rank

SEVERITY_STYLE = {"low": "cyan", "medium": "yellow", "high": "dark_orange", "critical": "bold red"}
ANSWER_STYLE = {"in_time": "green", "waiting": "", "late": "yellow", "never": "bold red"}
OF_THE_PIPELINE = ("breached", "escalated", "proved", "not_proved")  # what the day's people are told of its notes
SHOWN_EVENTS = 4
SHOWN_MEMBERS = 6


def render_account(
    console: Console,
    inputs: Sequence[Step],
    warnings: Iterable[RiskWarning],
    cases: Iterable[Case],
    dead_letters: Iterable[DeadLetter],
    portfolio: Iterable[PortfolioEntry],
    *,
    policy: Policy,
    lang: Language = "en",
) -> None:
    """Print the whole account; times are in the bank's zone, reasons in the language asked for.

    Args:
        console: 100 columns are enough. Where it is no terminal, there are no colours and no drawn boxes.
        inputs: what was sent, in order; the notes among them are the day's story.
        warnings, cases, portfolio: any revisions; the newest of each is shown.
        dead_letters: each once or more; shown once.
        policy: names measures and industries and gives the bank's zone.
    """
    account = _Account(console, policy, lang)
    account.came_in(inputs)
    account.warned(list(newest(warnings, lambda one: one.warning_id).values()))
    newest_cases = list(newest(cases, lambda one: one.case_id).values())
    account.answered(newest_cases)
    account.late(newest_cases)
    account.refused(sorted({one.dead_letter_id: one for one in dead_letters}.items()))
    # Lines have no revision: of each key the last in time stands, where the key first came.
    account.book(list({one.key: one for one in sorted(portfolio, key=lambda one: one.as_of)}.values()))


def render_warning(console: Console, warning: RiskWarning, *, policy: Policy, lang: Language = "en") -> None:
    """Print one warning with its reasons, as the account does."""
    _Account(console, policy, lang).warning(warning)


def plain(text: str) -> str:
    """Text from outside without what could steer a terminal."""
    return "".join(one if unicodedata.category(one)[0] != "C" else " " for one in text)


class _Account:
    def __init__(self, console: Console, policy: Policy, lang: Language) -> None:
        self.console, self.policy, self.lang = console, policy, lang
        self.words = WORDS[lang]
        self.zone = policy.bank_calendar.zone

    # ------------------------------------------------------------------ parts

    def heading(self, word: str) -> None:
        title = self.words[word]
        self.console.print()
        if self.console.is_terminal:
            self.console.rule(Text(title, style="bold"), align="left")
        else:
            self.console.print(f"== {title} ==", highlight=False, markup=False)

    def table(self, *columns: str, right: Sequence[str] = ()) -> Table:
        """A table with these words for its columns."""
        table = Table(box=box.SIMPLE_HEAD if self.console.is_terminal else box.ASCII2, show_edge=False, pad_edge=False)
        for column in columns:
            # What is short stays whole; sentences wrap.
            wraps = column in ("text", "what", "why", "do")
            table.add_column(
                self.words[column], justify="right" if column in right else "left", overflow="fold", no_wrap=not wraps
            )
        return table

    def line(self, *parts: tuple[str, str] | str) -> None:
        text = Text()
        for part in parts:
            if isinstance(part, str):
                text.append(plain(part))
            else:
                text.append(plain(part[0]), style=part[1])
        self.console.print(text, highlight=False)

    def time(self, at: datetime | None) -> str:
        """A moment in the bank's zone; without its year, which the day tells."""
        return self.words["not_yet"] if at is None else f"{at.astimezone(self.zone):%m-%d %H:%M}"

    def say(self, code: str) -> str:
        return say(code, self.lang)

    def measure(self, code: str) -> str:
        return self.policy.response.measure_name(code, self.lang)

    def listed(self, words: Iterable[str]) -> str:
        return ("、" if self.lang == "zh" else ", ").join(words)

    # --------------------------------------------------------------- sections

    def came_in(self, inputs: Sequence[Step]) -> None:
        self.heading("came_in")
        counts = Counter((step.topic, step.history) for step in inputs)
        table = self.table("topic", "before", "today", right=("before", "today"))
        for topic in dict.fromkeys(step.topic for step in inputs):
            _row(table, topic, str(counts[topic, True]), str(counts[topic, False]))
        self.console.print(table)
        self.console.print()
        story = self.table("time", "topic", "what")
        for step in inputs:
            if note := step.note_zh if self.lang == "zh" else step.note_en:
                _row(story, self.time(step.at), step.topic, note)
        self.console.print(story)

    def warned(self, warnings: list[RiskWarning]) -> None:
        self.heading("warnings")
        for warning in sorted(warnings, key=lambda one: (-severity_rank(one.severity), one.event_time, one.warning_id)):
            self.warning(warning)
        if not warnings:
            self.line(self.words["nothing"])

    def warning(self, warning: RiskWarning) -> None:
        words = self.words
        facts = [self.time(warning.event_time), f"{words['revision']} {warning.revision}"]
        if warning.mode != "live":
            facts.append(f"{words['mode']}: {self.say(warning.mode)}")
        if warning.late:
            facts.append(words["late_event"])
        self.console.print()
        self.line(
            (f"[{self.say(warning.severity)}] ", SEVERITY_STYLE[warning.severity]),
            (f"{self.say(warning.detector)} · {warning.subject}", "bold"),
            f"  ({self.listed(facts)})",
        )
        self.line(f"{words['to']}: {self.listed(self.say(one) for one in warning.departments)}")
        table = self.table("reason", "observed", "threshold", "text", right=("observed", "threshold"))
        for reason in warning.reasons:
            unit = reason.unit if reason.unit.isupper() else ""
            text = reason.text(self.lang)
            _row(
                table,
                self.say(reason.code),
                self.value(reason.observed, reason.unit, unit),
                self.value(reason.threshold, reason.unit),
                text,
            )
        self.console.print(table)
        ids = list(warning.event_ids[:SHOWN_EVENTS])
        if warning.event_count > len(ids):
            ids.append(f"+{warning.event_count - len(ids)}")
        self.line((f"{words['evidence']}: {self.listed(ids)}  ({warning.warning_id})", "dim"))
        if warning.measures:
            self.line(f"{words['do']}: {self.listed(self.measure(one) for one in warning.measures)}")

    def value(self, text: str, unit: str, shown: str = "") -> str:
        """What a reason observed, or holds it against; a moment as short as the other times."""
        if unit == "time":
            return self.time(datetime.fromisoformat(text))
        return f"{_grouped(text)} {shown}".strip()

    def answered(self, cases: list[Case]) -> None:
        self.heading("cases")
        for case in sorted(cases, key=lambda one: (one.opened_at, one.case_id)):
            self.console.print()
            self.line(
                (f"[{self.say(case.severity)}] ", SEVERITY_STYLE[case.severity]),
                (f"{case.case_id} · {self.words[case.state]}", "bold"),
            )
            table = self.table("department", "state", "acknowledge", "complete", "verdict")
            for task in case.tasks:
                answer = answer_of(task)
                _row(
                    table,
                    self.say(task.department),
                    self.say(task.state),
                    f"{self.time(task.acknowledged_at)} / {self.time(task.acknowledge_due_at)}",
                    f"{self.time(task.done_at)} / {self.time(task.due_at)}",
                    Text(self.words[answer], style=ANSWER_STYLE[answer]),
                )
            self.console.print(table)
            self.deeds(case)
        if not cases:
            self.line(self.words["nothing"])

    def deeds(self, case: Case) -> None:
        """The case's history without what the pipeline noted for itself."""
        told = [one for one in case.history if one.actor != SYSTEM or one.kind in OF_THE_PIPELINE]
        for entry in sorted(told, key=lambda one: one.at):
            by_clock = entry.kind in ("breached", "escalated")
            if by_clock:
                # The history says "level 1: linkage_office" and "acknowledgement was due".
                what = self.say(entry.detail.rpartition(": ")[2])
            else:
                what = self.measure(entry.measure) if entry.measure else ""
            self.line(
                f"  {self.time(entry.at)}  {self.say(entry.department or '')}: ",
                (self.say(entry.kind), "yellow" if by_clock else "green"),
                f" {what}" if what else "",
                "" if entry.actor == SYSTEM else f" ({entry.actor})",
            )

    def late(self, cases: list[Case]) -> None:
        self.heading("late_list")
        missed = [(case, task) for case in cases for task in case.tasks if answer_of(task) in ("late", "never")]
        for case, task in missed:
            answer = answer_of(task)
            self.line(
                (f"{self.say(task.department)} · {case.case_id}: {self.words[answer]}", ANSWER_STYLE[answer]),
                f" ({self.missed(task)})",
            )
        if not missed:
            self.line(self.words["nobody_late"])

    def missed(self, task: Task) -> str:
        done, due = (
            (task.acknowledged_at, task.acknowledge_due_at)
            if task.acknowledge_breached_at is not None
            else (task.done_at, task.due_at)
        )
        column = "acknowledge" if task.acknowledge_breached_at is not None else "complete"
        levels = self.listed(self.say(one) for one in task.escalated_to)
        facts = f"{self.words[column]}: {self.time(done)} / {self.time(due)}"
        return f"{facts}; {self.words['escalated']} {levels}" if levels else facts

    def refused(self, dead_letters: list[tuple[str, DeadLetter]]) -> None:
        self.heading("refused")
        table = self.table("message", "field", "reason", "why")
        for name, letter in dead_letters:
            _row(table, name, letter.field, letter.reason, letter.detail)
        if dead_letters:
            self.console.print(table)
        else:
            self.line(self.words["nothing"])

    def book(self, portfolio: list[PortfolioEntry]) -> None:
        self.heading("book")
        by_entity = sorted(portfolio, key=lambda one: one.entity)
        for entity, lines in groupby(by_entity, key=lambda one: one.entity):
            self.entity(entity, list(lines))
        if not portfolio:
            self.line(self.words["nothing"])

    def entity(self, entity: str, lines: list[PortfolioEntry]) -> None:
        # A member's own line is as old as its last loan: shares are of the newest total.
        last = max(lines, key=lambda one: (one.as_of, one.dimension == "entity"))
        members = sorted((one for one in lines if one.dimension == "industry"), key=lambda one: -one.exposure)
        self.console.print()
        indices = (f"HHI {last.hhi}", f"CR4 {last.cr4}", f"{self.words['effective']} {last.effective_number}")
        self.line(
            (f"{entity} · {self.words['whole']} {last.total:,} {last.currency}", "bold"),
            f"  {self.time(last.as_of)}  {self.listed(indices) if last.hhi is not None else ''}",
        )
        table = self.table("industry", "exposure", "share", "loans", "level", right=("exposure", "share", "loans"))
        scheme = self.policy.detectors.industry_concentration.scheme
        for one in members[:SHOWN_MEMBERS]:
            share = one.exposure / last.total if last.total else Decimal(0)
            name = industry_name(one.member, scheme, self.lang)
            level = self.say(one.level) if one.level else ""
            label = name if name == one.member else f"{one.member} {name}"
            _row(table, label, f"{one.exposure:,}", f"{share:.2%}", str(one.loans), level)
        self.console.print(table)
        if len(members) > SHOWN_MEMBERS:
            self.line(f"+{len(members) - SHOWN_MEMBERS}")


def _row(table: Table, *cells: str | Text) -> None:
    """Add a row whose texts are taken as they are: rich would read markup in them."""
    table.add_row(*(Text(plain(one)) if isinstance(one, str) else one for one in cells))


def _grouped(number: str) -> str:
    """Thousands set apart, where it is a plain number."""
    try:
        return f"{Decimal(number):,}"
    except ArithmeticError:
        return plain(number)
