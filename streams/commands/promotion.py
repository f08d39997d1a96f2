"""Keep: which model judges. A challenger is compared with it, promoted by two employees, and rolled back at once.

The policy names the models, so a promotion is a policy version like any other: proposed by one, approved by another,
in force from a midnight on. What judged yesterday stays what it was; a rollback takes effect with its approval.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tomlkit
import typer
from rich.table import Table

from connectors.cases import read_cases
from connectors.errors import LiandongError
from connectors.model_file import load_model
from connectors.policy_file import load_policy
from connectors.settings import Settings
from models.anomaly.feedback import decisions
from models.anomaly.promotion import Standing, compared
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy
from models.reference import PolicyVersion
from models.stages.anomalies import CHALLENGER, CHAMPION
from streams.commands.feedback import app as app
from streams.commands.feedback import newest_warnings
from streams.commands.keeping import EmployeeOption, FormatOption, broker_settings, in_use, today
from streams.commands.output import Format, command, notes, out, print_json
from streams.commands.policies import propose_text
from streams.commands.train import DirectoryOption, whole_hash

ApproverOption = Annotated[str, typer.Option("--approver", help="Who is to approve it; not the one who proposes.")]
FromOption = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="First day that it judges; by default tomorrow."),
]
NONE = "none"


class Written(NamedTuple):
    """A policy version with its text."""

    policy: Policy
    text: str


@app.command("promote")
@command
def promote_(
    name: Annotated[str, typer.Argument(metavar="HASH", help="Of the model that is to judge; first digits will do.")],
    employee: EmployeeOption,
    approver: ApproverOption,
    challenger: Annotated[
        str | None,
        typer.Option(help="Hash of one to try beside it, or `none`; by default the present one, if it is another."),
    ] = None,
    start: FromOption = None,
    directory: DirectoryOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Propose a policy version by which a model judges. Another employee approves it with `liandong policy approve`.

    All other figures stay. With --challenger HASH and the present model as HASH a model is only tried.
    """
    settings = broker_settings()
    folder = directory or settings.models
    policies, loaded = in_use(settings)
    model = _stored(name, folder)
    day = start.date() if start is not None else today(policies.latest) + timedelta(days=1)
    base = _held_on(day, settings, policies, loaded.approved)
    last = base.policy.detectors.anomaly
    beside = last.challenger if challenger is None else None if challenger == NONE else _stored(challenger, folder)
    if beside == model:
        if challenger is not None:
            raise LiandongError("the challenger is the model itself", "name another, or --challenger none")
        beside = None
    _propose(settings, policies, base, (model, beside), employee, approver, day, f"model {model[:8]} judges", format)


@app.command("rollback")
@command
def rollback_(
    employee: EmployeeOption,
    approver: ApproverOption,
    format: FormatOption = Format.TEXT,
) -> None:
    """Propose to undo the newest change of model: what comes after the approval is judged by the one before.

    The model that is given up becomes the challenger, so that it can be seen further. Where the change began today, or
    is yet to come, its version is replaced.
    """
    settings = broker_settings()
    policies, loaded = in_use(settings)
    versions = policies.versions
    given_up, first = versions[-1].detectors.anomaly.model, len(versions) - 1
    while first and versions[first - 1].detectors.anomaly.model == given_up:
        first -= 1
    if not first:
        raise LiandongError("no other model has judged before", "`liandong models promote HASH` names one")
    before = versions[first - 1].detectors.anomaly.model
    day = max(today(policies.latest), versions[first].first_day)
    base = _held_on(day, settings, policies, loaded.approved)
    said = f"back to model {before[:8]}" if before else "back to no model"
    _propose(settings, policies, base, (before, given_up), employee, approver, day, said, format, retroactive=True)
    for later in versions[versions.index(base.policy) + 1 :]:
        notes.print(
            f"note: {later.version}, which holds from {later.first_day}, names the model that is given up as well; "
            f"then: liandong models promote {(before or 'HASH')[:8]} --from {later.first_day}",
            markup=False,
        )


@app.command("compare")
@command
def compare_(
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; by default 30 days ago.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day; by default today.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Hold the challenger against the model that judges: what each finds, both find, and what became of it."""
    settings = broker_settings()
    policies, _ = in_use(settings)
    last = until.date() if until else today(policies.latest)
    first = since.date() if since else last - timedelta(days=29)
    if first > last:
        raise LiandongError(f"--since {first} is after --until {last}", "give an earlier day")
    told = newest_warnings(settings)
    confirmed = {one.warning_id: one.confirmed for one in decisions(read_cases(settings).values())}
    day_of = policies.latest.bank_calendar.day_of
    rows = [
        (one.detector, one.subject, day_of(one.window.start), confirmed.get(one.warning_id))
        for one in told.values()
        if one.subject.startswith("customer:") and first <= day_of(one.window.start) <= last
    ]
    standing = compared(rows, (CHAMPION, CHALLENGER))
    budget = float(policies.latest.detectors.anomaly.budget.value)
    if format is Format.JSON:
        print_json({"since": first, "until": last, "budget": budget, **standing.plain()})
        return
    _print(standing, policies, first, last, budget)


def _print(standing: Standing, policies: PolicyHistory, first: date, last: date, budget: float) -> None:
    rule = policies.latest.detectors.anomaly
    if not any(standing.found.values()):
        out.print(f"no model has warned from {first} to {last}", markup=False)
        return
    table = Table(title=f"Models from {first} to {last}")
    for column in ("", "model", "customers' days", "busiest day", f"days over {budget:g}", "confirmed", "dismissed"):
        table.add_column(column, justify="left" if column in ("", "model") else "right")
    for detector, title, name in ((CHAMPION, "judges", rule.model), (CHALLENGER, "is tried", rule.challenger)):
        by_day: Counter[date] = standing.by_day[detector]
        over = sum(count > budget for count in by_day.values())
        verdicts = standing.decided[detector]
        numbers = (standing.found[detector], max(by_day.values(), default=0), over, verdicts[True], verdicts[False])
        table.add_row(title, (name or "-")[:8], *(f"{one:,}" for one in numbers))
    out.print(table)
    out.print(
        f"both find {standing.both:,}, overlap {standing.overlap:.0%}; decisions are those on any warning of the "
        "customer's day, so they favour whoever is heard",
        markup=False,
    )


def _stored(name: str, folder: Path) -> str:
    """The whole hash of an anomaly model that is there and sound."""
    full = whole_hash(name, folder)
    load_model(full, folder)
    return full


def _propose(
    settings: Settings,
    policies: PolicyHistory,
    base: Written,
    models: tuple[str | None, str | None],
    employee: str,
    approver: str,
    day: date,
    reason: str,
    format: Format,
    *,
    retroactive: bool = False,
) -> None:
    names = {one.version for one in policies.known}
    text = with_models(base, models, _new_name(base.policy, day, names), day, employee, approver)
    try:
        policy = parse_policy(text, "the proposed version")
    except PolicyError as error:
        raise LiandongError(str(error), "see `liandong models promote --help`") from error
    propose_text(settings, policy, text, reason, retroactive, format)


def with_models(
    base: Written, models: tuple[str | None, str | None], version: str, day: date, proposer: str, approver: str
) -> str:
    """The text of a version that differs from another one in its models alone; comments stay.

    It replaces the other one where that begins on the same day.

    Args:
        models: the one that judges and the one that is tried; None for none.
        day: first day of it, in the bank's zone.
    """
    document: Any = tomlkit.parse(base.text)
    document["policy"]["version"] = version
    document["policy"]["valid_from"] = base.policy.bank_calendar.day_window(day)[0]
    document["policy"].pop("replaces", None)
    if base.policy.first_day == day:
        document["policy"]["replaces"] = base.policy.version
    document["policy"]["proposed_by"], document["policy"]["approved_by"] = proposer.strip(), approver.strip()
    rule = document["detectors"].get("anomaly")
    if rule is None:
        raise LiandongError(
            f"{base.policy.version} has no [detectors.anomaly]",
            "propose a version that has one: see deploy/policy/cn.toml",
        )
    if rule["mode"] == "off" and models[0] is not None:
        rule["mode"] = "live"
    for key, name in zip(("model", "challenger"), models, strict=True):
        if name is not None:
            rule[key] = name
        elif key in rule:
            del rule[key]
    return tomlkit.dumps(document)


def _held_on(day: date, settings: Settings, policies: PolicyHistory, approved: Mapping[str, PolicyVersion]) -> Written:
    """The version that holds on a day, as it was approved, or LIANDONG_POLICY."""
    policy = policies.version_on(day)
    for one in approved.values():
        if one.version == policy.version:
            return Written(policy, one.text)
    file = settings.policy_path()
    return Written(load_policy(file), file.read_text("utf-8"))


def _new_name(base: Policy, day: date, taken: set[str]) -> str:
    """`cn-2026.1` becomes `cn-2026.1-model-20261130`, with a number where that is taken."""
    stem = f"{base.version.partition('-model-')[0]}-model-{day:%Y%m%d}"
    names = (stem, *(f"{stem}.{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken)
