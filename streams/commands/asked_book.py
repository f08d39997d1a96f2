"""What the commands share that ask about one entity's book: how it is read, of which day, by which policy."""

import difflib
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from connectors.errors import LiandongError
from connectors.policy_file import load_policies
from connectors.settings import Settings
from connectors.sources.report import without_drills
from models.credit.indices_granularity import Risk
from models.credit.industries import NAICS_NAMES, SECTION_NAMES
from models.credit.industry import UNKNOWN, Scheme, industry_name, industry_of
from models.credit.industry_divisions import DIVISION_NAMES
from models.credit.lookahead_limits import Capital
from models.drill import drill_of
from models.money import InvalidField, read_amount
from models.policy import Policy, PolicyHistory
from streams.book_reading import capital_of_topic, check_source, loans_of_file, loans_of_topic
from streams.commands.asking import MOST_REJECTED
from streams.commands.keeping import DAY, Day, readable, today, unknown
from streams.commands.output import out, print_rejected, progress, read_settings
from streams.entity_book import EntityBook, entity_books

FileArgument = Annotated[
    Path | None, typer.Argument(help="CSV, JSON lines or Parquet with loan events; default: the topic loans.")
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", "-m", help="How the file's columns become events (TOML).")
]
_CODES: dict[Scheme, tuple[str, ...]] = {
    "gbt4754": (*SECTION_NAMES, *DIVISION_NAMES),
    "naics": tuple(NAICS_NAMES),
}

OnOption = Annotated[Day | None, typer.Option(formats=DAY, help="The end of this day at the bank; default: today.")]
EntityOption = Annotated[str | None, typer.Option(help="Whose book; needed where there are several.")]


def number(text: str | Decimal) -> Decimal:
    """A plain number, exactly; a default, which is one already, as it is."""
    try:
        return read_amount(str(text).removeprefix("+"), "it")
    except InvalidField as error:
        raise typer.BadParameter(str(error).removeprefix("it: ")) from error


NetCapitalOption = Annotated[
    Decimal | None, typer.Option(parser=number, help="Net capital in the base currency; default: the topic capital's.")
]
Tier1CapitalOption = Annotated[Decimal | None, typer.Option(parser=number, help="Tier 1 capital, likewise.")]
DefaultPdOption = Annotated[
    Decimal | None,
    typer.Option(parser=number, help="Probability of default where none is given, 0 to 1; default: the policy's."),
]
DefaultLgdOption = Annotated[
    Decimal | None,
    typer.Option(parser=number, help="Loss given default where none is given, 0 to 1; default: the policy's."),
]


class Asked:
    """A book and what it is held against.

    Args:
        policy: of the day.
        base: its currency.
        assumed: what an answer should say it rests on.
    """

    def __init__(self, book: EntityBook, policy: Policy, capital: Capital, assumed: list[str]) -> None:
        self.book = book
        self.policy = policy
        self.capital = capital
        self.assumed = assumed

    @property
    def base(self) -> str:
        return self.policy.money.base

    @property
    def scheme(self) -> Scheme:
        return self.policy.detectors.industry_concentration.scheme

    def money(self, value: Decimal | None) -> str:
        """An amount in a text: without the cents, where a million is lent or more; a headroom is never rounded up."""
        if value is None:
            return "none"
        return f"{value.to_integral_value(ROUND_FLOOR):,f}" if self.book.total >= 10**6 else f"{value:,.2f}"

    def head(self) -> dict[str, Any]:
        """How every answer begins."""
        return {
            "entity": self.book.entity,
            "on": self.book.day,
            "currency": self.base,
            "policy": self.policy.version,
            "net_capital": self.capital.net,
            "tier1_capital": self.capital.tier1,
            "refused": self.book.refused,
            "assumed": self.assumed,
        }

    def print_assumed(self) -> None:
        """What the answer rests on, a line each."""
        for reason, count in self.book.refused.items():
            out.print(f"events refused: {reason} {count:,}", markup=False)
        for line in self.assumed:
            out.print(f"assumed: {line}", markup=False, style="dim")


def ask_book(
    file: Path | None,
    mapping: Path | None,
    on: Day | None,
    entity: str | None,
    policy: Path | None,
    net_capital: Decimal | None,
    tier1_capital: Decimal | None,
) -> Asked:
    """Read the book that a command was asked about.

    Raises:
        LiandongError: it cannot be read, has no loans, or is one of several.
    """
    check_source(file, mapping)
    for name, amount in (("--net-capital", net_capital), ("--tier1-capital", tier1_capital)):
        if amount is not None and amount <= 0:
            raise LiandongError(f"{name} is {amount}", "give an amount above zero, or leave it out")
    settings = read_settings()
    policies = load_policies(policy or settings.policy_path())
    loans = read_loans(file, mapping, settings, policies, entity)
    day = on.date() if on is not None else today(policies.latest)
    with progress() as bar:
        bar.add_task(f"the book of {day}", total=None)
        books = entity_books(loans, policies, day)
    book = _book(books, entity, loans, day, f"the file {file}" if file is not None else "the topic loans")
    known = Capital()
    if file is None and None in (net_capital, tier1_capital):
        known = capital_of_topic(settings, policies, book.entity, day)
    capital = Capital(
        known.net if net_capital is None else net_capital, known.tier1 if tier1_capital is None else tier1_capital
    )
    assumed = []
    for name, amount, option in (("net", capital.net, "--net-capital"), ("Tier 1", capital.tier1, "--tier1-capital")):
        if amount is None:
            assumed.append(f"no {name} capital is known: limits on it are not judged; give {option}")
    return Asked(book, policies.on(day), capital, assumed)


def read_loans(
    file: Path | None, mapping: Path | None, settings: Settings, policies: PolicyHistory, entity: str | None
) -> pl.DataFrame:
    """The loan events of the file, whose rejected rows are told, or else of the topic.

    Args:
        entity: that was asked for. Books of drills are nobody's: they are left out unless one of them is.
    """
    if file is None or mapping is None:
        with progress() as bar:
            loans = loans_of_topic(settings, policies, bar)
    else:
        mapped = loans_of_file(file, mapping)
        print_rejected(mapped, most=MOST_REJECTED)
        loans = mapped.accepted
    return loans if drill_of(entity) is not None else without_drills(loans)


MOST_NAMES = 8  # in an error


def _book(books: dict[str, EntityBook], entity: str | None, loans: pl.DataFrame, day: date, where: str) -> EntityBook:
    names = list(books)
    if not loans.height:
        raise LiandongError(f"{where} has no loan events yet", "send some with liandong replay")
    if not names:
        first = readable(loans["event_time"].min())
        raise LiandongError(
            f"there were no loans on {day}", f"the first of {where} is of {first}; name a day with --on"
        )
    if entity is None and len(names) > 1:
        raise LiandongError(f"there are several entities: {_some(names, books)}", "name one with --entity")
    if entity is not None and entity not in names:
        raise unknown("entity", entity, names, f"there are {_some(names, books)}")
    return books[entity or names[0]]


def _some(names: list[str], books: dict[str, EntityBook]) -> str:
    """The entities with the largest books, and how many more there are."""
    largest = sorted(names, key=lambda name: (-books[name].total, name))
    more = f" and {len(largest) - MOST_NAMES} smaller ones" if len(largest) > MOST_NAMES else ""
    return "; ".join(largest[:MOST_NAMES]) + more


def member_of(code: str, scheme: Scheme) -> str:
    """The member of a book that an industry code falls under.

    Raises:
        LiandongError: the scheme does not know the code; the one whose code or name is nearest is named.
    """
    member = industry_of(code, scheme)
    if member != UNKNOWN:
        return member
    codes = _CODES.get(scheme, ())
    known = {name.lower(): one for one in reversed(codes) for name in (one, *_names(one, scheme))}
    near = difflib.get_close_matches(code.strip().lower(), known, n=1, cutoff=0.5)
    shown = [one for one in codes if industry_of(one, scheme) == one]
    remedy = f"did you mean {named(known[near[0]], scheme)}?" if near else f"there are {', '.join(shown)}"
    raise LiandongError(f"there is no industry {code!r} in {scheme}", remedy)


def _names(member: str, scheme: Scheme) -> tuple[str, str]:
    return industry_name(member, scheme), industry_name(member, scheme, "zh")


def named(member: str, scheme: Scheme) -> str:
    """A member with its names: `K Real estate 房地产业`; one without names is called as it is."""
    english, chinese = _names(member, scheme)
    return member if english == member else f"{member} {english} {chinese}"


def default_risk(policy: Policy, pd: Decimal | None, lgd: Decimal | None) -> Risk:
    """The risk of whom nothing is known: as given, else as the policy has it.

    Raises:
        LiandongError: one that is given is no share.
    """
    known = policy.credit
    given = known.pd.value if pd is None else pd, known.lgd.value if lgd is None else lgd
    return risk_of(*given, "--default-pd, --default-lgd")


def risk_of(pd: Decimal, lgd: Decimal, whose: str) -> Risk:
    """PD and LGD together.

    Raises:
        LiandongError: one is no share from 0 to 1.
    """
    try:
        return Risk(pd, lgd)
    except ValueError as error:
        raise LiandongError(f"{whose}: {error}", "0.01 is one of a hundred") from error
