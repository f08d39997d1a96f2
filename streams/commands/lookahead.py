"""Ask: lookahead."""

import enum
from decimal import Decimal
from typing import Annotated

import msgspec
import typer

from connectors.errors import LiandongError
from models.credit.industry import UNKNOWN, industry_of
from models.credit.lookahead import ProposedLoan, look_ahead
from models.credit.lookahead_industry import all_limits
from models.credit.lookahead_pace import FEWEST_CHANGES
from streams.commands.asked_book import (
    Asked,
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
    risk_of,
)
from streams.commands.keeping import FormatOption
from streams.commands.lookahead_text import print_look_ahead
from streams.commands.output import Format, command, print_json
from streams.commands.running import PolicyOption


class RealEstate(enum.StrEnum):
    """What `--real-estate` takes."""

    NONE = "none"
    DEVELOPMENT = "development"
    MORTGAGE = "mortgage"


@command
def lookahead(
    industry: Annotated[str, typer.Option(help="Of the proposed loan: a code of the policy's scheme, such as C.")],
    amount: Annotated[Decimal, typer.Option(parser=number, help="Of the proposed loan, in the base currency.")],
    file: FileArgument = None,
    mapping: MappingOption = None,
    on: OnOption = None,
    entity: EntityOption = None,
    borrower: Annotated[str | None, typer.Option(help="Who borrows; default: someone without a loan.")] = None,
    group: Annotated[str | None, typer.Option(help="The borrower's group; default: that of earlier loans.")] = None,
    region: Annotated[str | None, typer.Option(help="As the loans name it, such as CN-43.")] = None,
    real_estate: Annotated[RealEstate, typer.Option(help="What it pays for or is secured by.")] = RealEstate.NONE,
    pd: Annotated[Decimal | None, typer.Option(parser=number, help="A new borrower's PD; default: as all.")] = None,
    lgd: Annotated[Decimal | None, typer.Option(parser=number, help="A new borrower's LGD; default: as all.")] = None,
    default_pd: DefaultPdOption = None,
    default_lgd: DefaultLgdOption = None,
    net_capital: NetCapitalOption = None,
    tier1_capital: Tier1CapitalOption = None,
    months: Annotated[
        int, typer.Option(min=FEWEST_CHANGES, max=120, help="How many of the last months the pace is the mean of.")
    ] = 12,
    policy: PolicyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Say what a proposed loan would do to the book: shares, HHI, headroom, and which limits it would break, and when.

    The pace is the mean net change of the last months; the days are given with an 80 % interval.
    """
    if amount <= 0:
        raise LiandongError(f"--amount is {amount}", "a proposed loan is of an amount above zero")
    asked = ask_book(file, mapping, on, entity, policy, net_capital, tier1_capital)
    book_risk = default_risk(asked.policy, default_pd, default_lgd)
    own_risk = risk_of(book_risk.pd if pd is None else pd, book_risk.lgd if lgd is None else lgd, "--pd, --lgd")
    loan = _loan(asked, industry, amount, borrower, group, region, real_estate)
    loan = msgspec.structs.replace(loan, risk=own_risk)
    sums = asked.book.sums(book_risk)
    asked.assumed.append(f"every borrower of the book has a PD of {book_risk.pd} and an LGD of {book_risk.lgd}")
    known = sums.granularity.risk(borrower) if sums.granularity is not None and borrower is not None else None
    if known is None:
        asked.assumed.append(f"the new borrower has a PD of {own_risk.pd} and an LGD of {own_risk.lgd}")
    elif pd is not None or lgd is not None:
        asked.assumed.append(f"--pd and --lgd are of new borrowers: {borrower} has loans and keeps the book's")
    history = asked.book.history(loan.members(), months)
    found = look_ahead(sums, loan, all_limits(asked.policy), asked.capital, asked.book.day, history)
    if format is Format.JSON:
        print_json(asked.head() | {"loan": loan, "answer": found})
        return
    print_look_ahead(asked, loan, found)


def _loan(
    asked: Asked,
    industry: str,
    amount: Decimal,
    borrower: str | None,
    group: str | None,
    region: str | None,
    real_estate: RealEstate,
) -> ProposedLoan:
    """The loan as the book would count it, with what that assumes."""
    scheme = asked.scheme
    member = member_of(industry, scheme)
    division = industry_of(industry, scheme, "division") if scheme == "gbt4754" else UNKNOWN
    if not asked.book.exposures("industry").get(member):
        asked.assumed.append(f"it is the first loan to {named(member, scheme)}")
    if borrower is not None and borrower not in asked.book.exposures("borrower"):
        asked.assumed.append(f"{borrower} has no loan in the book yet")
    if borrower is not None and group is None:
        group = asked.book.group_of(borrower)
        if group is not None:
            asked.assumed.append(f"{borrower} belongs to the group {group}, as earlier loans say")
    if group is None:
        asked.assumed.append("the borrower belongs to no group: limits on groups are not judged; give --group")
    return ProposedLoan(
        industry=member,
        amount=amount,
        borrower=borrower,
        group=group,
        division=None if division == UNKNOWN else division,
        region=region,
        real_estate=real_estate.value,
    )
