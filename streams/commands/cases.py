"""Keep: cases. What departments owe and did, actions on many cases at once, and the audit of a history."""

import re
import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from msgspec import ValidationError
from rich.table import Table

from connectors.account_texts import WORDS, Language, say
from connectors.cases import Outcome, act, read_case_file, read_cases
from connectors.errors import LiandongError
from connectors.reports.case_file import as_json, as_page
from connectors.settings import Settings
from models.events import Action, ActionKind, Actor
from models.money import InvalidField
from models.policy import Policy
from models.response.audit import broken_link, chain_begins
from models.response.case import Case, Task
from models.response.confidential import is_stub, roles_of
from streams.commands.keeping import EmployeeOption, FormatOption, broker_settings, first_policy, now, show
from streams.commands.output import Format, command, out, print_json

app = typer.Typer(help="List cases, show one, act on many, write one as a file.", no_args_is_help=True)

KINDS = get_args(ActionKind)
COLUMNS = ("case_id", "state", "severity", "owed_by", "next_due", "overdue", "follows")
CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="Its id, e.g. customer:C42#1.")]
LanguageOption = Annotated[Language, typer.Option("--language", "-l", help="Of codes and texts.")]


@app.command("list")
@command
def list_(
    department: Annotated[str | None, typer.Option(help="That owes something on it.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only where a deadline was missed.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """List open cases: who owes what, until when."""
    settings = broker_settings()
    policy = first_policy(settings)

    def wanted(case: Case) -> bool:
        return all_ or case.state == "open"

    # The newest revision may be a resolved one: which are shown is asked of that one alone.
    found = [case for case in read_cases(settings, policy=policy).values() if wanted(case)]
    rows = [_row(case, policy) for case in _under_leaders(found)]
    if department is not None:
        rows = [row for row in rows if department in row["departments"]]
    if overdue:
        rows = [row for row in rows if row["overdue"]]
    show(format, "cases", COLUMNS, rows, "no such case")


@app.command("show")
@command
def show_(case_id: CaseArgument, language: LanguageOption = "en", format: FormatOption = Format.TEXT) -> None:
    """Show a case: its warnings, tasks and history."""
    settings = broker_settings()
    policy = first_policy(settings)
    case = _case(settings, case_id, policy)
    if format is Format.JSON:
        print_json(case)
        return
    out.print(f"{case.case_id} · {WORDS[language][case.state]} · {say(case.severity, language)}", markup=False)
    for ref in case.warnings:
        when = _time(ref.event_time, policy)
        text = f"  {when}  {say(ref.detector, language)}, {say(ref.severity, language)}  ({ref.warning_id})"
        out.print(text, markup=False)
    if case.follows is not None:
        out.print(f"  {say('merged', language)}: {case.follows}", markup=False)
    _tasks(case, policy, language)
    if case.followers:
        led = {one.case_id for one in case.followers}
        for one in read_cases(settings, lambda other: other.case_id in led, policy).values():
            out.print(f"{one.case_id} · {WORDS[language][one.state]} · {say('merged', language)}", markup=False)
            _tasks(one, policy, language)
    _history(case, policy, language)


@app.command("act")
@command
def act_(
    case_ids: Annotated[list[str], typer.Argument(metavar="CASE...", help="One id or many.")],
    kind: Annotated[str, typer.Option(help=", ".join(KINDS))],
    department: Annotated[str, typer.Option(help="For which the employee acts.")],
    employee: EmployeeOption,
    role: Annotated[str, typer.Option(help="The employee's role, e.g. officer, supervisor.")] = "officer",
    measure: Annotated[str | None, typer.Option(help="Which measure it is about.")] = None,
    note: Annotated[str, typer.Option(help="What others should know; with assign: to whom.")] = "",
    evidence: Annotated[list[str] | None, typer.Option(help="Id of what proves it; may be given again.")] = None,
    about: Annotated[str | None, typer.Option(metavar="CASE", help="With merge: the case that they follow.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what becomes of it.")] = 15.0,
    format: FormatOption = Format.TEXT,
) -> None:
    """Act on one case or on many alike, and say what became of each."""
    settings = broker_settings()
    if kind not in KINDS:
        raise LiandongError(f"there is no action {kind}", f"known are {', '.join(KINDS)}")
    actions = [
        _made(
            action_id=f"act-{uuid.uuid4().hex}",
            event_time=now(),
            case_id=case_id,
            actor=Actor(employee_id=employee.strip(), department=department, role=role),
            kind=kind,
            measure=measure,
            note=note,
            evidence=tuple(evidence or ()),
            about=about,
        )
        for case_id in dict.fromkeys(case_ids)
    ]
    outcomes = act(settings, actions, wait, first_policy(settings))
    if format is Format.JSON:
        print_json({"outcomes": [_told(one) for one in outcomes]})
    else:
        for one in outcomes:
            out.print(_line(one), markup=False)
    if any(one.case is None for one in outcomes):
        raise typer.Exit(1)


@app.command("file")
@command
def file_(
    case_id: CaseArgument,
    folder: Annotated[Path, typer.Option(help="Where the page and the JSON go.")] = Path("."),
    language: LanguageOption = "en",
    format: FormatOption = Format.TEXT,
) -> None:
    """Write a case as a file: its warnings and reasons, the events behind them, tasks and history."""
    settings = broker_settings()
    policy = first_policy(settings)
    case = _case(settings, case_id, policy)
    made = read_case_file(settings, case)
    stem = "case-" + re.sub(r"[^\w.-]+", "-", case_id)
    files = {
        folder / f"{stem}.html": as_page(made, policy, language).encode(),
        folder / f"{stem}.json": as_json(made),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            path.write_bytes(content)
    except OSError as error:
        raise LiandongError(f"cannot write to {folder}: {error.strerror or error}", "name another --folder") from error
    if format is Format.JSON:
        print_json({"written": [str(path) for path in files], "missing": list(made.missing)})
    else:
        for path in files:
            out.print(f"written to {path}", markup=False)


@command
def audit(
    case_id: CaseArgument,
    head: Annotated[
        str | None, typer.Option(help="The newest hash as taken down before; must be in the chain.")
    ] = None,
    language: LanguageOption = "en",
    format: FormatOption = Format.TEXT,
) -> None:
    """Check that a case's history is the one that was written, and print it. Exit code 1 where it is not."""
    settings = broker_settings()
    policy = first_policy(settings)
    case = _case(settings, case_id, policy)
    broken, begins = broken_link(case), chain_begins(case)
    fault = _fault(case, broken, head)
    if format is Format.JSON:
        print_json({"whole": fault is None, "fault": fault, "broken_at": broken, "begins": begins, "case": case})
    else:
        _history(case, policy, language, hashes=True)
        if begins:
            out.print(f"the first {begins} entries are older than the chain, which holds them as it found them")
        out.print(fault or f"the history of {case_id} is whole; its head is {case.head or 'not written yet'}")
    if fault is not None:
        raise typer.Exit(1)


def _fault(case: Case, broken: int | None, head: str | None) -> str | None:
    if broken is not None and broken < len(case.history):
        return f"entry {broken + 1} does not follow from what is before it: something was changed there, or before"
    if broken is not None:
        return "entries are missing at the end: the newest is not the one that the case names"
    if head is not None and head not in {entry.hash for entry in case.history}:
        return f"the head {head} that was taken down before is not in the history: it was written anew"
    return None


def _case(settings: Settings, case_id: str, policy: Policy) -> Case:
    found = read_cases(settings, lambda case: case.case_id == case_id, policy)
    if case_id not in found:
        raise LiandongError(f"there is no case {case_id}", "liandong case list --all names them all")
    if is_stub(found[case_id]):
        roles = ", ".join(roles_of(policy)) or "nobody"
        raise LiandongError(f"{case_id} is confidential: it is for {roles}", "set LIANDONG_ROLE to the role you have")
    return found[case_id]


def _under_leaders(cases: list[Case]) -> list[Case]:
    """Each leader, then the cases that follow it; else in the order given."""
    known = {case.case_id for case in cases}
    led: dict[str, list[Case]] = {}
    for case in cases:
        if case.follows in known:
            led.setdefault(case.follows or "", []).append(case)
    firsts = [case for case in cases if case.follows not in known]
    return [one for case in firsts for one in (case, *led.get(case.case_id, ()))]


def _made(**fields: Any) -> Action:
    try:
        return Action(**fields)
    except (InvalidField, ValidationError) as error:
        raise LiandongError(str(error), "liandong case list names the cases") from error


def _row(case: Case, policy: Policy) -> dict[str, Any]:
    active = [task for task in case.tasks if task.active]
    due = min((task.due_at for task in active), default=None)
    late = sorted({task.department for task in case.tasks if task.breached})
    return {
        "case_id": case.case_id,
        "state": case.state,
        "severity": case.severity,
        "owed_by": "confidential"
        if is_stub(case)
        else ", ".join(f"{task.department} ({task.owner})" for task in active) or "-",
        "next_due": _time(due, policy),
        "overdue": ", ".join(late),
        "departments": sorted({task.department for task in active}),
        "mode": case.mode,
        "follows": case.follows,
        "confidential": case.confidential,
    }


def _tasks(case: Case, policy: Policy, language: Language) -> None:
    table = Table()
    for name in ("department", "state", "owner", "acknowledge by", "complete by", "measures"):
        table.add_column(name)
    for task in case.tasks:
        table.add_row(
            say(task.department, language) + (f" ({task.round})" if task.round > 1 else ""),
            say(task.state, language),
            task.owner,
            _time(task.acknowledge_due_at, policy),
            _time(task.due_at, policy),
            _measures(task, policy, language),
        )
    out.print(table)


def _measures(task: Task, policy: Policy, language: Language) -> str:
    known = policy.response.measures
    texts = []
    for one in task.measures:
        text = getattr(known[one.code], language) if one.code in known else one.code
        texts.append(f"{'[x]' if one.completed_at is not None else '[ ]'} {text}")
    return "\n".join(texts).replace("[", r"\[") or "-"


def _history(case: Case, policy: Policy, language: Language, *, hashes: bool = False) -> None:
    table = Table()
    for name in ("#", "at", "who", "what", "detail", *(("hash",) if hashes else ())):
        table.add_column(name, overflow="fold")
    for number, entry in enumerate(case.history, 1):
        what = say(entry.kind, language) + (f": {entry.measure}" if entry.measure else "")
        detail = "; ".join(one for one in (entry.detail, entry.note) if one).replace("[", r"\[")
        who = entry.actor + (f" ({say(entry.department, language)})" if entry.department else "")
        cells = [str(number), _time(entry.at, policy), who, what, detail]
        table.add_row(*cells, *((entry.hash or "-",) if hashes else ()))
    out.print(table)


def _time(at: datetime | None, policy: Policy) -> str:
    return "-" if at is None else f"{at.astimezone(policy.bank_calendar.zone):%Y-%m-%d %H:%M}"


def _line(one: Outcome) -> str:
    name = one.action.case_id
    if one.case is not None:
        task = one.case.task(one.action.actor.department)
        return f"{name}: taken; {one.case.state}" + (f", task {task.state}" if task is not None else "")
    if one.refused is not None:
        return f"{name}: refused, {one.refused.reason} ({one.refused.field}): {one.refused.detail}"
    return f"{name}: sent, no outcome yet; is a worker running? see liandong case show {name}"


def _told(one: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"case_id": one.action.case_id, "action_id": one.action.action_id, "outcome": "unknown"}
    if one.case is not None:
        told |= {"outcome": "taken", "state": one.case.state, "revision": one.case.revision}
    elif one.refused is not None:
        refused = one.refused
        told |= {"outcome": "refused", "reason": refused.reason, "field": refused.field, "detail": refused.detail}
    return told
