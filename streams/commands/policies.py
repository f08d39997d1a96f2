"""Keep: policy versions, from a file at somebody's desk to the workers."""

import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from msgspec.structs import asdict
from rich.table import Table

from connectors.errors import LiandongError
from connectors.policy_file import load_policy
from connectors.references import NOT_AGAIN, POLICY, amended, made, newest, publish, reading
from connectors.settings import Settings
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy, published_policy
from models.policy.succession import in_force
from models.reference import PolicyVersion, digest_of, same_person
from streams.commands.keeping import EmployeeOption, FormatOption, YesOption, broker_settings, in_use, now, show, tell
from streams.commands.keeping import unknown as unknown_name
from streams.commands.output import Format, command, notes, out, print_json, read_settings
from streams.commands.policy_tables import DIFFERENCES, FIGURES, differences, differences_table, figures

app = typer.Typer(help="Read, check, compare, propose and approve policy versions.", no_args_is_help=True)

SEE_LIST = "see liandong policy list"
RetroactiveOption = Annotated[
    bool, typer.Option("--retroactive", help="Let it hold for days that may have been judged already.")
]


class Found(NamedTuple):
    """A policy, its text, and what was published of it (None: a file)."""

    policy: Policy
    text: str
    published: PolicyVersion | None


@app.command("show")
@command
def show_policy(
    what: Annotated[
        str | None, typer.Argument(metavar="[FILE|VERSION]", help="A file, or a published version; LIANDONG_POLICY.")
    ] = None,
    toml: Annotated[bool, typer.Option("--toml", help="The text itself, to copy and change.")] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Print every figure of a policy with its unit and source."""
    found = _find(what)
    head = found.policy.policy
    if toml:
        sys.stdout.write(found.text)
        return
    rows = list(figures(found.policy))
    state = found.published.state if found.published else "file"
    if format is Format.JSON:
        listed = [dict(zip(FIGURES, row, strict=True)) for row in rows]
        print_json({"version": head.version, "valid_from": head.valid_from, "state": state, "figures": listed})
        return
    table = Table(title=f"{head.title_en} · {head.title_zh} · {head.version}")
    for name in FIGURES:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(
        f"{state}; holds from {head.valid_from.isoformat()}; proposer {head.proposed_by}, approver {head.approved_by}",
        markup=False,
    )


@app.command("check")
@command
def check(
    file: Annotated[Path, typer.Argument(help="A policy file.")],
    offline: Annotated[bool, typer.Option("--offline", help="The file by itself, without a broker.")] = False,
    retroactive: RetroactiveOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Say everything that is wrong with a policy file, and whether it can follow the versions in use; exit 1 if not."""
    try:
        policy: Policy | None = parse_policy(_bytes(file), str(file))
        problems = []
    except PolicyError as error:
        policy, problems = None, str(error).removeprefix(f"{file}: ").split("; ")
    if policy is not None and not offline:
        problems = _problems(policy, in_use(broker_settings())[0], retroactive)
    if policy is not None and (gap := policy.bank_calendar.gap(_year_of(policy))):
        notes.print(f"note: {gap}", style="yellow", markup=False)
    if format is Format.JSON:
        print_json({"file": str(file), "version": policy and policy.version, "problems": problems})
    elif problems:
        for problem in problems:
            out.print(f"{file}: {problem}", markup=False)
    elif policy is not None:
        out.print(f"{file}: {policy.version} is well" + (" by itself" if offline else ""), markup=False)
    if problems:
        raise typer.Exit(1)


@app.command("diff")
@command
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help="A file, or a published version.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """List every figure, mode, department and measure in which two policies differ."""
    old, new = _find(one).policy, _find(other).policy
    _print_differences(old, new, format)


@app.command("list")
@command
def list_versions(format: FormatOption = Format.TEXT) -> None:
    """List the versions: proposed, approved, replaced by another, rejected, and which one judges today's events."""
    settings = broker_settings()
    policies, loaded = in_use(settings)
    for letter in loaded.refused:
        if letter.source_topic == POLICY:
            notes.print(f"note: {letter.source_key} is not used: {letter.detail}", markup=False)
    current = policies.at(now()).version
    with reading(settings) as reader:
        published: dict[str, PolicyVersion] = newest(reader, POLICY)
    replaced = {one.version for one in policies.known} - {one.version for one in policies.versions}
    rows = [
        asdict(one)
        | {"state": "replaced" if one.version in replaced else one.state}
        | {"in_force": one.state == "approved" and one.version == current}
        for one in published.values()
    ]
    known = {one.version for one in published.values() if one.state == "approved"}
    for policy in policies.known:
        if policy.version not in known:
            head = policy.policy
            state = "replaced" if policy.version in replaced else "file"
            rows.append(
                {"policy_id": head.id, "version": head.version, "valid_from": head.valid_from, "state": state}
                | {"proposed_by": head.proposed_by, "approved_by": head.approved_by, "reason": "LIANDONG_POLICY"}
                | {"in_force": policy.version == current}
            )
    for row in rows:
        row.pop("text", None)
    rows.sort(key=lambda row: (row["valid_from"], row["version"]))
    columns = ("version", "state", "valid_from", "proposed_by", "approved_by", "in_force", "reason")
    show(format, "Policy versions", columns, rows, "no versions")


@app.command("propose")
@command
def propose(
    file: Annotated[Path, typer.Argument(help="A policy file with a version name of its own.")],
    reason: Annotated[str, typer.Option(help="What the change is for; the approver reads it.")],
    retroactive: RetroactiveOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Publish a version for approval, in the name of its policy.proposed_by. The workers do not use it yet."""
    propose_text(broker_settings(), load_policy(file), _bytes(file).decode(), reason, retroactive, format)


def propose_text(settings: Settings, policy: Policy, text: str, reason: str, retroactive: bool, format: Format) -> None:
    """Publish a version for approval, and say what comes next.

    Args:
        policy: what the text says.

    Raises:
        LiandongError: somebody else has proposed one of that name, it was approved already, or it cannot follow the
            versions in use.
    """
    text = unicodedata.normalize("NFC", text)  # as every text travels
    head = policy.policy
    policies, _ = in_use(settings)
    with reading(settings) as reader:
        before: PolicyVersion | None = newest(reader, POLICY).get(f"{head.id}@{head.version}")
    if before is not None and before.state == "approved":
        raise LiandongError(
            f"{head.version} was approved by {before.approved_by} already; a version is immutable",
            "give the changed file a version name of its own",
        )
    if before is not None and not same_person(before.proposed_by, head.proposed_by):
        raise LiandongError(
            f"{before.proposed_by} has proposed a {head.version} already, which {head.proposed_by} may not replace",
            "give yours another version name",
        )
    _refuse(policy, policies, retroactive)
    proposal: PolicyVersion = made(
        POLICY,
        {
            "policy_id": head.id,
            "version": head.version,
            "valid_from": head.valid_from,
            "text": text,
            "digest": digest_of(text),
            "proposed_by": head.proposed_by,
            "proposed_at": now(),
            "reason": reason,
        },
    )
    publish(settings, POLICY, [proposal])
    replaced = f" in place of the earlier one ({before.state})" if before else ""
    tell(
        format,
        proposal,
        f"{head.version} is proposed by {head.proposed_by}{replaced}",
        f"next: {head.approved_by} reads it and runs: liandong policy approve {head.version} --as {head.approved_by}"
        + (" --retroactive" if head.valid_from <= now() else ""),
    )


@app.command("approve")
@command
def approve(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As listed.")],
    employee: EmployeeOption,
    retroactive: RetroactiveOption = False,
    yes: YesOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Let a proposed version come into force on its day: the workers switch by themselves."""
    settings = broker_settings()
    policies, _ = in_use(settings)
    proposal = _open(settings, version, "approved")
    policy = _parsed(proposal)
    head = policy.policy
    if same_person(employee, proposal.proposed_by):
        raise LiandongError(f"{employee} proposed {version}", f"the approver it names is {head.approved_by}")
    if not same_person(employee, head.approved_by):
        raise LiandongError(
            f"{version} names {head.approved_by} as its approver, not {employee}",
            "let them approve it, or propose a version that names another",
        )
    _refuse(policy, policies, retroactive)
    approval: PolicyVersion = amended(POLICY, proposal, approved_by=employee.strip(), approved_at=now())
    _check_usable(approval)
    # Bare, without rates and watch list: those change by themselves.
    before = policies.version_on(policy.first_day)
    if format is Format.TEXT:
        out.print(f"proposed by {proposal.proposed_by}: {proposal.reason}", markup=False)
        _print_differences(before, policy, format)
    if not yes:
        place = f" in place of {head.replaces}" if head.replaces else ""
        typer.confirm(f"Let {version} hold from {head.valid_from.isoformat()}{place}?", abort=True, err=True)
    _check_unchanged(settings, proposal, policies)
    publish(settings, POLICY, [approval])
    late = [f"it holds for days that have begun: {NOT_AGAIN}"] if head.valid_from <= now() else []
    tell(
        format,
        approval,
        f"{version} is approved by {approval.approved_by} and holds from {head.valid_from.isoformat()}; "
        "the workers switch by themselves",
        *late,
    )


@app.command("reject")
@command
def reject(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As listed.")],
    employee: EmployeeOption,
    reason: Annotated[str, typer.Option(help="Why; the proposer reads it.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Turn a proposed version down; its proposer may propose a better one of the same name."""
    settings = broker_settings()
    proposal = _open(settings, version, "rejected")
    rejection: PolicyVersion = amended(POLICY, proposal, rejected_by=employee.strip(), rejected_at=now(), reason=reason)
    publish(settings, POLICY, [rejection])
    tell(format, rejection, f"{version} is rejected by {rejection.rejected_by}: {reason}")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LiandongError(f"cannot read the policy {file}: {error.strerror}", "give a policy file") from error


def _find(what: str | None) -> Found:
    """A file where there is one of that name, else a published version, else LIANDONG_POLICY by its version."""
    settings = read_settings()
    file = settings.policy_path() if what is None else Path(what)
    if what is None or file.is_file() or file.suffix == ".toml" or len(file.parts) > 1:
        return Found(load_policy(file), _bytes(file).decode(), None)
    own = settings.policy_path()
    policy = load_policy(own)
    with reading(broker_settings()) as reader:
        versions: dict[str, PolicyVersion] = newest(reader, POLICY)
    # What was published goes before a file of the same name: the two may differ, and that is to be seen.
    published = _named(versions, what)
    if published is not None:
        return Found(_parsed(published), published.text, published)
    if what == policy.version:
        return Found(policy, _bytes(own).decode(), None)
    known = [policy.version, *(one.version for one in versions.values())]
    raise unknown_name("policy version", what, known, SEE_LIST)


def _published(settings: Settings, name: str) -> PolicyVersion:
    """The record of a version."""
    with reading(settings) as reader:
        versions: dict[str, PolicyVersion] = newest(reader, POLICY)
    published = _named(versions, name)
    if published is None:
        raise unknown_name("proposed version", name, (one.version for one in versions.values()), SEE_LIST)
    return published


def _named(versions: dict[str, PolicyVersion], name: str) -> PolicyVersion | None:
    """`cn-2026.2` or `cn@cn-2026.2`."""
    return next((one for one in versions.values() if name in (one.version, one.key)), None)


def _open(settings: Settings, name: str, wanted: str) -> PolicyVersion:
    """The record of a version that still waits for a decision."""
    one = _published(settings, name)
    if one.state == "proposed":
        return one
    by, at = (one.approved_by, one.approved_at) if one.state == "approved" else (one.rejected_by, one.rejected_at)
    remedy = "propose a new version with the figures you want" if wanted == "rejected" else SEE_LIST
    when = at.isoformat(timespec="seconds") if isinstance(at, datetime) else "?"
    raise LiandongError(f"{one.version} was {one.state} by {by} on {when}", remedy)


def _parsed(published: PolicyVersion) -> Policy:
    try:
        return parse_policy(published.text, published.key)
    except PolicyError as error:
        raise LiandongError(str(error), "propose a version that this release can read") from error


def _year_of(policy: Policy) -> int:
    """The first year that a version has still to judge."""
    return max(policy.bank_calendar.day_of(datetime.now(UTC)), policy.first_day).year


def _problems(policy: Policy, policies: PolicyHistory, retroactive: bool) -> list[str]:
    """Why a policy cannot follow the versions in use; none where it is one of them."""
    if policy in policies.known:
        notes.print(f"note: {policy.version} is in use already, with these very figures", markup=False)
        return []
    problems = []
    if any(one.version == policy.version for one in policies.known):
        problems.append(
            f"policy.version: {policy.version} is in use with other figures; a version is immutable: "
            "give the changed file a name of its own"
        )
    replaces = policy.policy.replaces
    if replaces is not None and all(one.version != replaces for one in policies.versions):
        problems.append(f"policy.replaces: there is no version {replaces} in use; {SEE_LIST}")
    try:
        in_force([*(one for one in policies.known if one.version != policy.version), policy])
    except PolicyError as error:
        problems.append(str(error))
    if policy.policy.valid_from <= now() and not retroactive:
        problems.append(
            f"policy.valid_from {policy.policy.valid_from.isoformat()} is not in the future: choose a day to come, "
            "or say --retroactive"
        )
    return problems


def _refuse(policy: Policy, policies: PolicyHistory, retroactive: bool) -> None:
    if problems := _problems(policy, policies, retroactive):
        raise LiandongError("; ".join(problems))


def _check_usable(approval: PolicyVersion) -> None:
    try:
        published_policy(approval)
    except PolicyError as error:
        raise LiandongError(str(error), "propose it anew") from error


def _check_unchanged(settings: Settings, proposal: PolicyVersion, policies: PolicyHistory) -> None:
    """Nothing was decided while somebody read the differences."""
    current = _published(settings, proposal.key)
    if current != proposal:
        raise LiandongError(f"{proposal.version} is {current.state} anew since you looked", SEE_LIST)
    later, _ = in_use(settings)
    if added := [one.version for one in later.versions if one not in policies.versions]:
        raise LiandongError(f"{', '.join(added)} was approved since you looked", "look again, then approve")


def _print_differences(old: Policy, new: Policy, format: Format) -> None:
    found = differences(old, new)
    if format is Format.JSON:
        lines: list[dict[str, Any]] = [dict(zip(DIFFERENCES, line, strict=True)) for line in found]
        print_json({"old": old.version, "new": new.version, "differences": lines})
    elif found:
        out.print(differences_table(f"{old.version} → {new.version}", found))
    else:
        out.print("no difference")
