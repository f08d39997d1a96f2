"""A look ahead as text: before and after, the limits, and the pace in words."""

from decimal import Decimal

from rich.markup import escape
from rich.table import Table

from models.credit.lookahead import Change, LimitChange, LookAhead, ProposedLoan
from models.credit.lookahead_industry import AnyLimit, GrowthLimit
from models.credit.lookahead_limits import BookLimit, Use
from models.credit.lookahead_pace import FEWEST_CHANGES, HORIZON_MONTHS, Outcome, Projection
from models.policy import LEVELS
from streams.commands.asked_book import Asked, named
from streams.commands.output import out

NEW = "the new borrower"
BASES = {
    "book": "of the book",
    "net_capital": "× net capital",
    "tier1_capital": "× Tier 1",
    "then": "growth",
    "hhi": "HHI",
}
SIGNS = {">=": "≥", ">": ">"}
_NO_DATE: dict[Outcome, str] = {
    "history_too_short": f"of fewer than {FEWEST_CHANGES} months is known how it changed",
    "flat_or_falling": "the pace does not lead there",
    "beyond_horizon": f"more than {HORIZON_MONTHS // 12} years off",
}


def print_look_ahead(asked: Asked, loan: ProposedLoan, found: LookAhead) -> None:
    """Show an answer to a person."""
    who = loan.borrower or "a new borrower"
    out.print(
        f"A loan of {loan.amount:,.2f} {asked.base} to {who} in {named(loan.industry, asked.scheme)}, put to the book "
        f"of {asked.book.entity} on {asked.book.day} ({asked.money(asked.book.total)} {asked.base})",
        markup=False,
    )
    out.print(_changes(asked, found))
    judged = [one for one in found.limits if one.after is not None]
    if judged:
        out.print(_limits(asked, judged))
    _print_breaks(asked, judged)
    _print_pace(asked, judged)
    _print_unjudged(found)
    asked.print_assumed()


def _print_unjudged(found: LookAhead) -> None:
    why: dict[str, set[str]] = {}
    for one in found.limits:
        if one.after is None:
            reason = "the capital is not known"
            if isinstance(one.limit, GrowthLimit):
                months = "1 month" if one.limit.months == 1 else f"{one.limit.months} months"
                reason = f"{one.subject} had no loans at the end of the month {months} before"
            why.setdefault(reason, set()).add(short(one.limit))
    for reason, names in why.items():
        out.print(f"not judged, as {reason}: {', '.join(sorted(names))}", style="yellow", markup=False)


def short(limit: AnyLimit) -> str:
    """A limit's key without what all of them have: `industry.share`, `name.single_tier1`."""
    _, rule, name = limit.name.split(".")[:3]
    return f"{rule.removesuffix('_concentration')}.{name}"


def figure_of(limit: AnyLimit) -> str:
    """A limit's figure with what it is a multiple of."""
    return f"{SIGNS[limit.op]} {limit.figure.normalize():f} {BASES[limit.base]}"


def _changes(asked: Asked, found: LookAhead) -> Table:
    table = Table(title="Before and after")
    for name in ("", f"{asked.base} before", "after", "share before", "after", "HHI before", "after"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for one in found.changes:
        indices = map(_told, (one.share_before, one.share_after, one.hhi_before, one.hhi_after))
        amounts = asked.money(one.exposure_before), asked.money(one.exposure_after)
        table.add_row(escape(_of(asked, one)), *amounts, *indices)
    adjustment = tuple(map(_told, (found.granularity_before, found.granularity_after)))
    table.add_row("granularity adjustment", "", "", *adjustment, "", "")
    return table


def _of(asked: Asked, change: Change) -> str:
    if change.dimension in ("industry", "division"):
        return f"{change.dimension} {named(change.member, asked.scheme)}"
    return f"{change.dimension.replace('_', ' ')} {change.member}" if change.member else NEW


def _told(value: Decimal | None) -> str:
    return "none" if value is None else str(value)


def _limits(asked: Asked, judged: list[LimitChange]) -> Table:
    """A line for each limit, with its levels side by side: figure, what becomes of it, headroom before and after."""
    table = Table(title=f"Limits, and the headroom to each level in {asked.base}", show_lines=True)
    for name in ("limit", "used", *LEVELS):
        table.add_column(name, justify="left" if name == "limit" else "right", overflow="fold")
    for group in _families(judged).values():
        one = group[0]
        ratios = " →\n".join(_ratio(use) for use in (one.before, one.after))
        cells = {level.limit.level: _cell(asked, level) for level in group}
        whose = escape(_whose(one))
        table.add_row(
            f"{short(one.limit)}\nof {whose}",
            f"{ratios}\n{BASES[one.limit.base]}",
            *(cells.get(level, "") for level in LEVELS),
        )
    return table


def _families(judged: list[LimitChange]) -> dict[str, list[LimitChange]]:
    """The levels of each limit together."""
    found: dict[str, list[LimitChange]] = {}
    for one in judged:
        found.setdefault(short(one.limit), []).append(one)
    return found


def _cell(asked: Asked, one: LimitChange) -> str:
    verdict, style = _verdict(one)
    rooms = " →\n".join(asked.money(use.headroom) if use is not None else "none" for use in (one.before, one.after))
    text = f"{SIGNS[one.limit.op]} {one.limit.figure.normalize():f} {verdict}\n{rooms}"
    return f"[{style}]{text}[/]" if style else text


def _ratio(use: Use | None) -> str:
    return "none" if use is None else f"{use.ratio:.4f}"


def _verdict(one: LimitChange) -> tuple[str, str]:
    if one.breaks:
        return "WOULD BREAK", "bold red"
    if one.after is not None and one.after.broken:
        return "is broken", "yellow"
    return ("mended", "green") if one.before is not None and one.before.broken else ("kept", "")


def _print_breaks(asked: Asked, judged: list[LimitChange]) -> None:
    broken = [one for one in judged if one.breaks]
    if not judged:
        return
    if not broken:
        out.print("it would break no limit that is not broken already", style="green")
        return
    out.print(f"it would break {len(broken):,} {'limit' if len(broken) == 1 else 'limits'}:", style="bold red")
    for one in broken:
        room = one.before.headroom if one.before is not None else None
        left = "" if room is None else f"; up to it {asked.money(max(room, Decimal(0)))} {asked.base} may be lent"
        text = f"  {_level(one)} of {_whose(one)}: {figure_of(one.limit)}{left}"
        out.print(text, style="bold red", markup=False)


def _print_pace(asked: Asked, judged: list[LimitChange]) -> None:
    """When limits break, in words: of each limit the next level; those without a day by what keeps them from it."""
    others: dict[Outcome, list[str]] = {}
    for group in _families(judged).values():
        one = next((one for one in group if one.before is None or not one.before.broken), None)
        if one is None or one.date_before is None or one.date_after is None:
            continue
        before, after = one.date_before, one.date_after
        if before.outcome not in _NO_DATE:
            out.print(
                f"pace: {_level(one)} of {_whose(one)} came nearer by {_pace(asked, one.limit, before)} "
                f"a month (mean of {before.changes}); it breaks {_when(before)} without the loan, "
                f"{_when(after)} with it",
                markup=False,
            )
        else:
            others.setdefault(before.outcome, []).append(_level(one))
    for outcome, names in others.items():
        out.print(f"pace: no day for {', '.join(names)}: {_NO_DATE[outcome]}", markup=False)


def _pace(asked: Asked, limit: AnyLimit, found: Projection) -> str:
    return str(found.pace) if limit.base == "hhi" else f"{asked.money(found.pace)} {asked.base}"


def _level(one: LimitChange) -> str:
    return f"{short(one.limit)} {one.limit.level or ''}".strip()


def _whose(one: LimitChange) -> str:
    if not isinstance(one.limit, BookLimit):
        return one.subject if isinstance(one.limit, GrowthLimit) else "the book"
    if one.limit.largest is not None:
        return f"the {one.limit.largest} largest"
    return " and ".join(one.limit.members) if one.limit.members else one.subject or NEW


def _when(found: Projection) -> str:
    if found.outcome == "already_reached":
        return "at once"
    if found.outcome != "projected":
        return f"on no day ({_NO_DATE[found.outcome]})"
    sure = f"{found.confidence * 100:.0f} %"
    if found.latest is None:
        return f"about {found.expected} ({sure}: not before {found.earliest}, perhaps never)"
    return f"about {found.expected} ({sure}: {found.earliest} to {found.latest})"
