"""Keep: drill. A scripted scenario through the live pipeline, and how well the departments answered it."""

import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from connectors.account_texts import Language
from connectors.cases import read_cases
from connectors.drills import Brought, brought, loans_of, played
from connectors.errors import LiandongError
from connectors.settings import Settings
from connectors.sources.simulator import topic_of
from connectors.sources.simulator.agenda import Event
from connectors.sources.simulator.drills import DRILLS, Scenario, check_name, expectation, expected, follow_up, play
from connectors.writer import Pace
from models.drill import drill_of
from models.policy import Policy
from models.response.case import Case
from models.response.drill_score import DrillScore, Expected, score
from models.response.drill_text import verdict_text
from models.response.suspension import in_force
from streams.commands.drill_tables import print_brought, print_scenarios, print_score
from streams.commands.feeding import send
from streams.commands.keeping import FormatOption, broker_settings, first_policy, in_use, now, unknown
from streams.commands.output import Format, command, notes, print_json, read_settings

BREACH = "approval_during_suspension"


@command
def drill(
    scenario: Annotated[str | None, typer.Argument(help="Which; --list names them.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="The scenarios, and what each teaches.")] = False,
    score_: Annotated[
        str | None, typer.Option("--score", metavar="NAME", help="How a drill went; any time later.")
    ] = None,
    next_: Annotated[
        str | None, typer.Option("--next", metavar="NAME", help="Play what follows in a drill that was played.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the drill; default: the time.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="To wait at most for what must come.")] = 60.0,
    at: Annotated[str | None, typer.Option(help="With --score: as of this time, ISO 8601; default: now.")] = None,
    language: Annotated[Language, typer.Option("--language", "-l", help="Of codes and texts.")] = "en",
    format: FormatOption = Format.TEXT,
) -> None:
    """Play a scripted scenario through the live pipeline, marked as a drill, and score how it was answered.

    A drill has customers, borrowers, branches and books of its own and counts in no figure of the bank.
    """
    asked = [one for one in (scenario, list_ or None, score_, next_) if one is not None]
    if len(asked) != 1:
        raise LiandongError("name one scenario, or one of --list, --score NAME, --next NAME", "liandong drill --list")
    if name is not None and scenario is None:
        raise LiandongError("--name is for a scenario that is played", "leave it out")
    if at is not None and score_ is None:
        raise LiandongError("--at is for --score", "leave it out")
    if list_:
        _list(language, format)
    elif score_ is not None:
        _score(score_, at, language, format)
    elif next_ is not None:
        _next(next_, seconds, language, format)
    else:
        _play(str(scenario), name, seconds, language, format)


def _list(language: Language, format: Format) -> None:
    policy = first_policy(read_settings())
    rows = [
        {
            "scenario": one.name,
            "teaches": {"zh": one.zh, "en": one.en},
            "then": {"zh": one.then_zh, "en": one.then_en} if one.then is not None else None,
            "must_come": [_asked(told, one, policy) for told in expected(one, "NAME", policy)],
        }
        for one in DRILLS.values()
    ]
    if format is Format.JSON:
        print_json({"count": len(rows), "rows": rows})
    else:
        print_scenarios(rows, policy, language)


def _asked(one: Expected, scenario: Scenario, policy: Policy) -> dict[str, Any]:
    owners = policy.response.measures
    by = {name: [code for code in one.measures if owners[code].department == name] for name in one.departments}
    return {"detector": one.detector, "subject": one.subject, "asks": by}


def _play(scenario: str, name: str | None, seconds: float, language: Language, format: Format) -> None:
    if scenario not in DRILLS:
        raise unknown("scenario", scenario, DRILLS, f"there are {', '.join(DRILLS)}")
    script = DRILLS[scenario]
    settings = broker_settings()
    policies, _ = in_use(settings)
    moment = now()
    policy = policies.at(moment)
    called = name or f"{moment.astimezone(policy.bank_calendar.zone):%Y%m%d-%H%M%S}"
    try:
        check_name(called)
    except ValueError as error:
        raise LiandongError(str(error), "give another --name") from error
    if name is not None and played(settings, name) is not None:
        raise LiandongError(f"a drill {name} was played already", f"give another --name, or --score {name}")
    wanted = expected(script, called, policy)
    if not wanted:
        raise LiandongError(
            f"no rule that {scenario} is about is live under {policy.policy.version}", "play another: --list"
        )
    events = play(script, called, policy, moment)
    _bring(settings, script, called, events, wanted, seconds, policy, language, format)


def _next(name: str, seconds: float, language: Language, format: Format) -> None:
    settings = broker_settings()
    policies, _ = in_use(settings)
    script = DRILLS[_known(name, settings).scenario]
    if script.then is None:
        raise LiandongError(f"nothing follows in {script.name}", f"liandong drill --score {name}")
    loans = loans_of(settings, name)
    suspended = [one for one in _cases(settings, name).values() if in_force(one) is not None]
    moment = now()
    policy = policies.at(moment)
    rule = policy.detectors.approval_during_suspension
    wanted = [expectation(BREACH, one.subject, rule) for one in suspended] if rule.mode == "live" else []
    if not wanted:
        notes.print("no approvals are suspended: none of what follows makes a rule warn", markup=False)
    events = follow_up(script, name, policy, moment, loans)
    _bring(settings, script, name, events, wanted, seconds, policy, language, format)


def _bring(
    settings: Settings,
    script: Scenario,
    name: str,
    events: Sequence[Event],
    wanted: Sequence[Expected],
    seconds: float,
    policy: Policy,
    language: Language,
    format: Format,
) -> None:
    """Send events and tell what has come of them; exit 1 where not all did that must."""

    def sending() -> None:
        notes.print(f"drill {name}: {script.name}, {len(events)} events", markup=False)
        send(settings, ((topic_of(one), one) for one in events), len(events), Pace(None))
        notes.print(f"sent; waiting at most {seconds:.0f} s for what must come", markup=False)

    found = brought(settings, name, wanted, seconds, sending)
    missing = found.missing(wanted)
    commands = [*_commands(found), f"liandong drill --score {name}"]
    if script.then is not None:
        commands.append(f"liandong drill --next {name}")
    if format is Format.JSON:
        print_json(
            {
                "drill": name,
                "scenario": script.name,
                "sent": len(events),
                "warnings": list(found.warnings.values()),
                "cases": list(found.cases.values()),
                "missing": missing,
                "commands": commands,
            }
        )
    else:
        print_brought(found, missing, commands, policy, language)
    if missing:
        raise typer.Exit(1)


def _commands(found: Brought) -> list[str]:
    """What each department does first."""
    active = [(case, task) for case in found.cases.values() for task in case.tasks if task.active]
    return [
        f"liandong case act {shlex.quote(case.case_id)} --kind acknowledge --department {task.department} --as EMPLOYEE"
        for case, task in active
        if task.acknowledged_at is None
    ]


def _score(name: str, at: str | None, language: Language, format: Format) -> None:
    settings = broker_settings()
    policies, _ = in_use(settings)
    moment = _moment(at, policies.latest) if at is not None else now()
    known = _known(name, settings)
    script, policy = DRILLS[known.scenario], policies.at(known.at)
    result = score(name, expected(script, name, policy), known.warnings, _cases(settings, name).values(), moment)
    if format is Format.JSON:
        print_json(_told(result, script))
    else:
        print_score(result, script, policy, language)


def _told(result: DrillScore, script: Scenario) -> dict[str, Any]:
    return {
        "drill": result.drill,
        "scenario": script.name,
        "at": result.at,
        "warnings": [
            {name: getattr(one, name) for name in one.__struct_fields__}
            | {"outcome": one.outcome, "after_seconds": one.after.total_seconds() if one.after is not None else None}
            for one in result.warnings
        ],
        "others": [{"detector": detector, "subject": subject} for detector, subject in result.others],
        "tasks": result.tasks,
        "failures": [
            {"case_id": task.case_id, "department": task.department, "what": step.what, "outcome": step.outcome}
            | {"due_at": step.due_at}
            for task, step in result.failures
        ],
        "hidden": result.hidden,
        "achieved": result.achieved,
        "steps": len(result.outcomes),
        "points": result.points,
        "verdict": {"code": result.verdict, "zh": verdict_text(result, "zh"), "en": verdict_text(result, "en")},
    }


def _known(name: str, settings: Settings) -> Any:
    found = played(settings, name)
    if found is None:
        raise LiandongError(f"no drill {name} was played here", "play one: liandong drill SCENARIO --name NAME")
    return found


def _cases(settings: Settings, name: str) -> dict[str, Case]:
    return read_cases(settings, lambda case: drill_of(case.subject) == name)


def _moment(text: str, policy: Policy) -> datetime:
    """A time as typed; without an offset it is the bank's own."""
    try:
        read = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
    except ValueError as error:
        raise LiandongError(f"--at {text} is no time", "write it as 2026-03-02T17:00") from error
    return read if read.tzinfo is not None else read.replace(tzinfo=policy.bank_calendar.zone)
