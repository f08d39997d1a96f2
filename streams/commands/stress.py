"""Ask: stress."""

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import LiandongError
from models.credit.indices_granularity import Risk
from models.credit.industry import UNKNOWN, Scheme
from models.credit.lookahead_limits import policy_limits
from models.credit.stress import Segment, Shock
from models.credit.stress import stress as shocked
from models.money import InvalidField, read_amount
from streams.commands.asked_book import (
    DefaultLgdOption,
    DefaultPdOption,
    EntityOption,
    FileArgument,
    MappingOption,
    NetCapitalOption,
    OnOption,
    Tier1CapitalOption,
    ask_book,
    default_risk,
    member_of,
    named,
    number,
)
from streams.commands.keeping import FormatOption
from streams.commands.output import Format, command, out, print_json
from streams.commands.running import PolicyOption
from streams.commands.stress_text import print_stress, shock_text

HEADER = ["industry", "pd", "lgd"]


@command
def stress(
    industry: Annotated[list[str], typer.Option(help="That is shocked: a code such as K; repeat it for several.")],
    file: FileArgument = None,
    mapping: MappingOption = None,
    pd: Annotated[str | None, typer.Option(help="2.0x: that many times the PD; +0.01: so much more.")] = None,
    lgd: Annotated[str | None, typer.Option(help="Of the LGD, likewise: 1.2x, +0.10.")] = None,
    growth: Annotated[Decimal, typer.Option(parser=number, help="Of the exposure: 0.2 is a fifth more.")] = Decimal(0),
    on: OnOption = None,
    entity: EntityOption = None,
    risk: Annotated[Path | None, typer.Option(help="CSV with industry,pd,lgd.")] = None,
    default_pd: DefaultPdOption = None,
    default_lgd: DefaultLgdOption = None,
    net_capital: NetCapitalOption = None,
    tier1_capital: Tier1CapitalOption = None,
    plot: Annotated[Path | None, typer.Option(help="Draw losses and shares there: a .png, .svg or .pdf.")] = None,
    policy: PolicyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Shock an industry's PD, LGD or growth, and say what it does to the expected loss and to the use of limits."""
    shock = _shock(pd, lgd, growth)
    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise LiandongError(f"--plot {plot} ends in none of .png, .svg, .pdf", "name it stress.png")
    asked = ask_book(file, mapping, on, entity, policy, net_capital, tier1_capital)
    default = default_risk(asked.policy, default_pd, default_lgd)
    members = [member_of(one, asked.scheme) for one in industry]
    exposures = asked.book.exposures("industry")
    for member in members:
        if member not in exposures:
            has = ", ".join(exposures) or "no loans"
            raise LiandongError(f"no loans to {named(member, asked.scheme)} on {asked.book.day}", f"the book has {has}")
    risks = _read_risks(risk, asked.scheme) if risk is not None else {}
    assumed = [one for one in exposures if one not in risks]
    if assumed:
        whose = "every industry" if len(assumed) == len(exposures) else ", ".join(assumed)
        verb = "has" if whose == "every industry" or len(assumed) == 1 else "have"
        asked.assumed.append(f"{whose} {verb} a PD of {default.pd} and an LGD of {default.lgd}")
    book = {member: Segment(amount, risks.get(member, default)) for member, amount in exposures.items()}
    lines = shocked(book, dict.fromkeys(members, shock), policy_limits(asked.policy), asked.capital)
    if plot is not None:
        from streams.commands.stress_plot import draw  # drawing takes a second to load, and few ask for it

        draw(plot, lines, members, shock_text(shock), asked)
    if format is Format.JSON:
        told = {"shocked": sorted(set(members)), "shock": shock, "lines": lines, "plot": str(plot) if plot else None}
        print_json(asked.head() | told)
        return
    print_stress(asked, lines, members, shock)
    if plot is not None:
        out.print(f"drawn: {plot}", markup=False)


def _shock(pd: str | None, lgd: str | None, growth: Decimal) -> Shock:
    """What the options say.

    Raises:
        LiandongError: they say nothing, or not how.
    """
    if pd is None and lgd is None and not growth:
        raise LiandongError("nothing is shocked", "say what is: --pd 2x, --lgd +0.10 or --growth 0.2")
    try:
        return Shock(growth=growth, **_figure("pd", pd), **_figure("lgd", lgd))
    except ValueError as error:
        raise LiandongError(str(error).replace("_times", "").replace("_plus", ""), "give another figure") from error


def _figure(name: str, text: str | None) -> dict[str, Decimal]:
    if text is None:
        return {}
    times = text[-1:] in ("x", "×")
    if not times and text[:1] not in ("+", "-"):
        raise LiandongError(f"--{name} {text} may be meant in two ways", f"say {text}x for times, or +{text} for more")
    try:
        figure = read_amount(text.rstrip("x×") if times else text.removeprefix("+"), f"--{name}")
    except InvalidField as error:
        raise LiandongError(str(error), "say 2x, or +0.10") from error
    return {f"{name}_times" if times else f"{name}_plus": figure}


def _read_risks(file: Path, scheme: Scheme) -> dict[str, Risk]:
    """PD and LGD by industry.

    Raises:
        LiandongError: the file cannot be read, or lines are wrong: all of them are named.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source, strict=True)
            if reader.fieldnames != HEADER:
                given = ", ".join(reader.fieldnames or ()) or "none"
                raise LiandongError(f"{file}: its columns are {given}", f"they must be {','.join(HEADER)}")
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise LiandongError(f"cannot read {file}: {error.strerror}", "give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LiandongError(f"{file} is no CSV file in UTF-8: {error}", "save it as such") from error
    risks: dict[str, Risk] = {}
    wrong = []
    for line, row in rows:
        try:
            member, found = _read_risk(row, scheme)
            if member in risks:
                raise LiandongError(f"{member} stands on an earlier line already")
        except (LiandongError, ValueError) as error:
            wrong.append(f"line {line}: {error}")
        else:
            risks[member] = found
    if wrong:
        raise LiandongError("\n".join([f"{file}: wrong lines: {len(wrong):,}", *wrong]))
    return risks


def _read_risk(row: Mapping[str | None, str | None], scheme: Scheme) -> tuple[str, Risk]:
    industry, pd, lgd = (row[name] for name in HEADER)
    if None in row or industry is None or pd is None or lgd is None:
        raise LiandongError("it has another number of fields than the header")
    code = industry.strip()
    member = UNKNOWN if code == UNKNOWN else member_of(code, scheme)
    return member, Risk(read_amount(pd.strip(), "pd"), read_amount(lgd.strip(), "lgd"))
