"""Keep: mutes, dismissed patterns of which nobody is told for a while. Two people agree on each."""

import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from msgspec.structs import asdict

from connectors.errors import LiandongError
from connectors.references import MUTES, amended, made, newest, publish, reading
from connectors.settings import Settings
from models.policy import Detectors
from models.reference import Mute, same_person
from models.risk_warning import Severity
from streams.commands.keeping import (
    DAY,
    Day,
    EmployeeOption,
    FormatOption,
    broker_settings,
    first_policy,
    now,
    show,
    tell,
    unknown,
)
from streams.commands.output import Format, command

app = typer.Typer(help="Propose, approve, lift and list mutes.", no_args_is_help=True)

LONGEST = timedelta(days=366)  # a mute that nobody looks at again is a hole in the watch
COLUMNS = ("mute_id", "state", "subject", "detector", "up_to", "ends", "who", "reason")
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed.")]


@app.command("propose")
@command
def propose(
    subject: Annotated[str, typer.Option(help="Of the warnings, e.g. customer:C42.")],
    rule: Annotated[str, typer.Option(help="Whose warnings, e.g. structuring.")],
    until: Annotated[
        Day, typer.Option(formats=DAY, help="The first day that it does not cover; at most a year ahead.")
    ],
    up_to: Annotated[Severity, typer.Option(help="The gravest severity it covers; what is graver is told.")],
    reason: Annotated[str, typer.Option(help="Why nothing need be done.")],
    employee: EmployeeOption,
    since: Annotated[Day | None, typer.Option("--from", formats=DAY, help="The first day; default: from now.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Ask that nobody be told of what a rule finds in a subject. It holds once somebody else approves."""
    settings = broker_settings()
    calendar = first_policy(settings).bank_calendar
    if rule not in Detectors.__struct_fields__:
        known = Detectors.__struct_fields__
        raise unknown("rule", rule, known, f"known are {', '.join(known)}")
    if ":" not in subject.strip(":"):
        raise LiandongError(f"{subject} is no subject", "write it as the warnings do, e.g. customer:C42")
    starts = calendar.day_window(since.date())[0] if since else now()
    ends = calendar.day_window(until.date())[0]
    if ends <= now():
        raise LiandongError(f"--until {until.date()} is over already", "give a day to come")
    if ends > now() + LONGEST:
        raise LiandongError(f"--until {until.date()} is more than a year ahead", "mute it for less, then look again")
    item: Mute = made(
        MUTES,
        {
            "mute_id": f"mute-{uuid.uuid4().hex[:8]}",
            "subject": subject,
            "detector": rule,
            "starts_at": starts,
            "ends_at": ends,
            "up_to": up_to,
            "reason": reason,
            "proposed_by": employee.strip(),
            "proposed_at": now(),
        },
    )
    publish(settings, MUTES, [item])
    tell(
        format,
        item,
        f"{item.mute_id} is proposed: {subject}, {rule} up to {up_to}, until {ends.isoformat()}",
        f"next: somebody else runs: liandong mute approve {item.mute_id} --as THEM",
    )


@app.command("approve")
@command
def approve(mute_id: IdArgument, employee: EmployeeOption, format: FormatOption = Format.TEXT) -> None:
    """Agree to a mute that somebody else proposed."""
    settings = broker_settings()
    before = _mute(settings, mute_id)
    if before.approved_by:
        raise LiandongError(f"{mute_id} was approved by {before.approved_by} already", "see liandong mute list --all")
    if before.ends <= now():
        raise LiandongError(f"{mute_id} ended on {before.ends.isoformat()}", "propose a new one")
    _four_eyes(employee, before.proposed_by, mute_id)
    item: Mute = amended(MUTES, before, approved_by=employee.strip(), approved_at=now())
    _write(settings, item, before)
    tell(format, item, f"{mute_id} is approved by {item.approved_by}; it holds until {item.ends.isoformat()}")


@app.command("lift")
@command
def lift(mute_id: IdArgument, employee: EmployeeOption, format: FormatOption = Format.TEXT) -> None:
    """End a mute before its time: the first call proposes it, a second person's call agrees."""
    settings = broker_settings()
    before = _mute(settings, mute_id)
    if not before.approved_by:
        raise LiandongError(f"{mute_id} is not approved and mutes nothing", "leave it, or let somebody approve it")
    if before.lifted_by:
        raise LiandongError(f"{mute_id} was lifted by {before.lifted_by} already", "see liandong mute list --all")
    if before.ends <= now():
        raise LiandongError(f"{mute_id} ended by itself on {before.ends.isoformat()}")
    if before.lift_proposed_by is None:
        item: Mute = amended(MUTES, before, lift_proposed_by=employee.strip(), lift_proposed_at=now())
        text = f"the lifting of {mute_id} is proposed; it holds until somebody else runs the same with their --as"
    else:
        _four_eyes(employee, before.lift_proposed_by, f"the lifting of {mute_id}")
        item = amended(MUTES, before, lifted_by=employee.strip(), lifted_at=now())
        text = f"{mute_id} is lifted: what is found from now on is told"
    _write(settings, item, before)
    tell(format, item, text)


@app.command("list")
@command
def list_mutes(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over or lifted as well.")] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """List mutes: who asked, who agreed, whether they hold, until when."""
    moment = now()
    rows: list[dict[str, Any]] = []
    for one in sorted(_mutes(broker_settings()).values(), key=lambda mute: (mute.ends, mute.mute_id)):
        state = state_of(one, moment)
        if everything or state not in ("over", "lifted"):
            people = (one.proposed_by, one.approved_by, one.lift_proposed_by, one.lifted_by)
            who = ", ".join(dict.fromkeys(name for name in people if name))
            rows.append(asdict(one) | {"state": state, "ends": one.ends, "who": who})
    show(format, "Mutes", COLUMNS, rows, "no mutes" if everything else "no mutes hold or wait; --all shows past ones")


def state_of(mute: Mute, moment: datetime) -> str:
    """`proposed`, `to come`, `holds`, `holds, lifting proposed`, `lifted` or `over`."""
    if mute.lifted_by:
        return "lifted"
    if mute.ends <= moment:
        return "over"
    if not mute.approved_by:
        return "proposed"
    if moment < mute.starts_at:
        return "to come"
    return "holds, lifting proposed" if mute.lift_proposed_by else "holds"


def _mutes(settings: Settings) -> dict[str, Mute]:
    with reading(settings) as reader:
        return newest(reader, MUTES)


def _mute(settings: Settings, mute_id: str) -> Mute:
    mutes = _mutes(settings)
    if mute_id not in mutes:
        raise unknown("mute", mute_id, mutes, "see liandong mute list --all")
    return mutes[mute_id]


def _four_eyes(employee: str, first: str, what: str) -> None:
    if same_person(employee, first):
        raise LiandongError(f"{employee} proposed {what}", "somebody else must agree: run it with their --as")


def _write(settings: Settings, item: Mute, before: Mute) -> None:
    """Write what was decided on a mute as it stood, unless it stands otherwise by now."""
    if _mute(settings, item.mute_id) != before:
        raise LiandongError(f"{item.mute_id} was changed meanwhile", "see liandong mute list --all, then try again")
    publish(settings, MUTES, [item])
