"""The people, firms, branches and books of a simulated bank."""

from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.sources.simulator.dice import Dice
from models.events import Counterparty
from models.policy import Policy

# The scenarios need enough people, and the book enough borrowers, to tell them from the crowd.
MINIMUM_CUSTOMERS = 40


class Industry(NamedTuple):
    """One industry by GB/T 4754-2017 (section letter and class) and by NAICS (code and two-digit sector)."""

    section: str
    gbt4754: str
    naics: str
    sector: str
    name: str

    def code(self, scheme: str) -> str:
        """What a loan of this industry carries under a policy's scheme."""
        return {"gbt4754": self.gbt4754, "naics": self.naics}.get(scheme, self.name)

    def member(self, scheme: str) -> str:
        """What the portfolio counts it under."""
        return {"gbt4754": self.section, "naics": self.sector}.get(scheme, self.name)


INDUSTRIES = (
    Industry("A", "A0111", "111160", "11", "rice growing"),
    Industry("B", "B0610", "212115", "21", "coal mining"),
    Industry("C", "C1711", "313110", "31-33", "cotton spinning"),
    Industry("D", "D4411", "221112", "22", "power generation"),
    Industry("E", "E4710", "236115", "23", "house building"),
    Industry("F", "F5211", "455110", "44-45", "department stores"),
    Industry("G", "G5431", "484121", "48-49", "road freight"),
    Industry("H", "H6110", "721110", "72", "hotels"),
    Industry("I", "I6513", "513210", "51", "software"),
    Industry("K", "K7010", "531110", "53", "real estate development"),
    Industry("L", "L7211", "551114", "55", "company headquarters"),
    Industry("M", "M7320", "541715", "54", "engineering research"),
    Industry("N", "N7810", "562111", "56", "municipal services"),
    Industry("Q", "Q8411", "622110", "62", "hospitals"),
)
REAL_ESTATE = next(one for one in INDUSTRIES if one.section == "K")

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛", "明", "超", "霞", "平", "刚")
_FIRM_NAMES = ("海川", "正源", "华盛", "恒信", "东方", "瑞丰", "金桥", "宏达", "永兴", "中汇", "长青", "天和")
_SHOPS = ("家乐超市", "百味餐厅", "城东药房", "新知书店", "绿源果蔬", "顺达加油站", "晨光文具", "美邻便利店")
_COUNTRY = {"USD": "US", "EUR": "DE", "GBP": "GB", "HKD": "HK", "JPY": "JP", "CZK": "CZ", "CNY": "CN"}


@dataclass(slots=True)
class Branch:
    id: str
    tellers: list[str]


@dataclass(slots=True)
class Customer:
    """One customer with one account. `partners` are those it usually pays."""

    id: str
    kind: str
    account: str
    name: str
    branch: Branch
    partners: list[Counterparty] = field(default_factory=list)
    foreign: str | None = None  # the currency of its dealings abroad, if it has any

    @property
    def seen_by_others(self) -> Counterparty:
        return Counterparty(account_id=self.account, name=self.name, bank="LIANDONG")


@dataclass(slots=True)
class Person(Customer):
    salary: float = 0.0
    rent: float = 0.0
    rent_day: int = 1
    landlord: Counterparty | None = None
    dormant: bool = False


@dataclass(slots=True)
class Firm(Customer):
    industry: Industry = REAL_ESTATE
    entity: str = ""
    staff: list[Person] = field(default_factory=list)
    payday: int = 0  # working days before the month's last one
    suppliers: list["Firm | Counterparty"] = field(default_factory=list)


@dataclass(slots=True)
class Bank:
    """All that is fixed while the days go by. `scale` fits amounts to the policy's base currency."""

    policy: Policy
    branches: list[Branch]
    persons: list[Person]
    firms: list[Firm]
    entities: tuple[str, ...]
    scale: float

    @property
    def currency(self) -> str:
        return self.policy.money.base


def make_bank(seed: int, customers: int, policy: Policy) -> Bank:
    """Found a bank with this many customers, one in six of them a firm.

    Raises:
        ValueError: fewer than `MINIMUM_CUSTOMERS` customers.
    """
    if customers < MINIMUM_CUSTOMERS:
        raise ValueError(f"a simulated bank needs at least {MINIMUM_CUSTOMERS} customers, not {customers}")
    dice = Dice(seed, "bank")
    # Salaries and prices are thought of in CNY; the reporting threshold tells what money is worth elsewhere.
    thresholds = policy.detectors.large_transaction.person_domestic.amounts
    scale = float(thresholds[policy.money.base]) / 500_000
    branches = [
        Branch(f"B{number:03d}", [f"T{number:03d}{teller}" for teller in range(1, 5)])
        for number in range(1, 2 + customers // 250)
    ]
    entities = ("LIANDONG-BANK",) if customers < 400 else ("LIANDONG-BANK", "LIANDONG-RURAL")
    abroad = sorted(code for code in policy.money.rates if code in _COUNTRY and code != policy.money.base)
    firms = _firms(dice, max(len(INDUSTRIES) * len(entities), customers // 6), branches, entities, abroad)
    persons = _persons(dice, customers - len(firms), branches, abroad, scale)
    for person in persons:
        # Some salaries come from employers who bank elsewhere.
        if dice.chance(0.8):
            dice.pick(firms).staff.append(person)
    return Bank(policy, branches, persons, firms, entities, scale)


def country_of(currency: str) -> str:
    """Where dealings in this currency usually go."""
    return _COUNTRY[currency]


def home_of(policy: Policy) -> str:
    """The bank's own country; a calendar of a market, such as TARGET, names none, so its currency tells."""
    return policy.calendar.country or country_of(policy.money.base)


def outsider(dice: Dice, name: str, country: str | None = None) -> Counterparty:
    """Somebody with an account at another bank, unlike any before."""
    return Counterparty(
        account_id=f"62{dice.between(10**12, 10**13 - 1)}",
        name=name,
        bank=dice.pick(("ICBC", "CCB", "ABC", "BOC", "CMB")),
        country=country,
    )


def person_name(dice: Dice) -> str:
    return dice.pick(_SURNAMES) + dice.pick(_GIVEN) + (dice.pick(_GIVEN) if dice.chance(0.6) else "")


def firm_name(dice: Dice) -> str:
    return dice.pick(_FIRM_NAMES) + dice.pick(("贸易", "实业", "科技", "建设", "物流")) + "有限公司"


def _firms(dice: Dice, count: int, branches: list[Branch], entities: tuple[str, ...], abroad: list[str]) -> list[Firm]:
    firms = []
    for number in range(count):
        name = f"E{100_001 + number}"
        firm = Firm(name, "entity", f"A{name}", firm_name(dice), dice.pick(branches))
        # In turn, so that every entity lends to every industry alike before anything drifts.
        firm.industry = INDUSTRIES[number % len(INDUSTRIES)]
        firm.entity = entities[number // len(INDUSTRIES) % len(entities)]
        firm.payday = dice.between(0, 2)
        firm.foreign = dice.pick(abroad) if abroad and dice.chance(0.1) else None
        firms.append(firm)
    for firm in firms:
        inside = [one for one in dice.sample(firms, 5) if one is not firm]
        firm.suppliers = [*inside, *(outsider(dice, firm_name(dice)) for _ in range(4))]
        firm.partners = [outsider(dice, firm_name(dice)) for _ in range(6)]
    return firms


def _persons(dice: Dice, count: int, branches: list[Branch], abroad: list[str], scale: float) -> list[Person]:
    shops = [outsider(dice, name) for name in _SHOPS for _ in range(3)]
    persons = []
    for number in range(count):
        name = f"C{100_001 + number}"
        person = Person(name, "person", f"A{name}", person_name(dice), dice.pick(branches))
        person.salary = dice.lognormal(11_000, 0.4) * scale
        person.rent = dice.lognormal(3_000, 0.3) * scale
        person.rent_day = dice.between(1, 5)
        person.landlord = outsider(dice, person_name(dice)) if dice.chance(0.6) else None
        person.partners = dice.sample(shops, 6)
        person.foreign = dice.pick(abroad) if abroad and dice.chance(0.03) else None
        persons.append(person)
    return persons
