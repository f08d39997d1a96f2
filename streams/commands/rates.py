"""Keep: exchange rates."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.errors import LiandongError
from connectors.references import RATES, made, newest, publish, reading, said
from models.money import InvalidField, currency_places
from models.policy import Policy
from models.reference import Rate
from streams.commands.keeping import (
    DAY,
    Day,
    FormatOption,
    broker_settings,
    first_policy,
    read_csv,
    show,
    tell,
    today,
)
from streams.commands.output import Format, command, out, print_json

app = typer.Typer(help="Give exchange rates, from a day on, and list them.", no_args_is_help=True)

COLUMNS = ("currency", "as_of", "rate", "source")


@app.command("put")
@command
def put(
    currency: Annotated[str, typer.Argument(help="ISO 4217, e.g. SEK.")],
    rate: Annotated[str, typer.Argument(help="Units of the policy's money.base for one unit, e.g. 0.7512.")],
    since: Annotated[Day, typer.Option("--from", formats=DAY, help="The first day on which it holds.")],
    source: Annotated[str, typer.Option(help="Where it was published.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Give a currency's rate from a day on, until the next one given."""
    settings = broker_settings()
    policy = first_policy(settings)
    item: Rate = made(RATES, {"currency": currency.upper(), "as_of": since.date(), "rate": rate, "source": source})
    if problem := _problem(item, policy):
        raise LiandongError(problem)
    with reading(settings) as reader:
        before: Rate | None = newest(reader, RATES).get(item.key)
    publish(settings, RATES, [item])
    lines = [said(item, today(policy), policy.bank_calendar)]
    if before is not None:
        lines.append(f"until now it was {before.rate} ({before.source})")
    elif item.currency not in policy.rates:
        lines.append("messages refused for want of it: liandong dead-letters redrive --all --reason no_rate --by YOU")
    tell(format, item, *lines)


@app.command("import")
@command
def import_rates(
    file: Annotated[Path, typer.Argument(help=f"CSV in UTF-8 with the columns {','.join(COLUMNS)}.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Give many rates at once: all of a file, or none if one is wrong."""
    settings = broker_settings()
    policy = first_policy(settings)
    items: list[Rate] = read_csv(RATES, file, COLUMNS, check=lambda item: _problem(item, policy))
    publish(settings, RATES, items)
    if format is Format.JSON:
        print_json({"written": len(items)})
        return
    for item in items:
        out.print(said(item, today(policy), policy.bank_calendar), markup=False)
    out.print(f"rates written: {len(items):,}")


@app.command("list")
@command
def list_rates(
    currency: Annotated[str | None, typer.Argument(metavar="[CUR]", help="Only this currency.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the rates of the policy file and those given since, and which of them hold today."""
    settings = broker_settings()
    policy = first_policy(settings)
    with reading(settings) as reader:
        given: list[Rate] = sorted(newest(reader, RATES).values(), key=lambda one: (one.currency, one.as_of))
    day = today(policy)
    holding = {one.currency: one for one in given if one.as_of <= day}
    rows: list[dict[str, Any]] = [
        {"currency": code, "as_of": None, "rate": figure.value, "source": figure.source, "holds": code not in holding}
        for code, figure in policy.money.rates.items()
    ]
    rows += [
        {"currency": one.currency, "as_of": one.as_of, "rate": one.rate, "source": one.source}
        | {"holds": holding.get(one.currency) is one}
        for one in given
    ]
    rows = [row for row in rows if currency is None or row["currency"] == currency.upper()]
    rows.sort(key=lambda row: row["currency"])
    title = f"Rates in {policy.money.base} for one unit; without a day: of the policy file"
    show(format, title, (*COLUMNS, "holds"), rows, f"no rates of {currency}" if currency else "no rates")


def _problem(item: Rate, policy: Policy) -> str | None:
    """What the item alone does not show: that money of this kind exists, and is not the one all is measured in."""
    try:
        currency_places(item.currency)
    except InvalidField as error:
        return f"currency: {error.detail}"
    if item.currency == policy.money.base:
        return f"currency: {item.currency} is the policy's money.base, and so worth {Decimal(1)}"
    return None
