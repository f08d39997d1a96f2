"""Which industry a loan belongs to, by the policy's scheme: one member of the book for every code.

Sources: GB/T 4754-2017 (sections A to T, each a range of two-digit divisions 01 to 97); NAICS 2022 (two-digit
sectors; 31-33, 44-45 and 48-49 are one sector each; 99 is what the filer left unclassified).
"""

import re
from functools import lru_cache
from typing import Literal

from models.credit.industries import DIVISIONS, NAICS_NAMES, SECTION_NAMES, UNKNOWN_NAMES
from models.credit.industry_divisions import DIVISION_NAMES

Scheme = Literal["gbt4754", "naics", "as_given"]
SCHEMES: tuple[Scheme, ...] = ("gbt4754", "naics", "as_given")
IndustryLevel = Literal["section", "division", "sector", "code"]
# The levels of each scheme, the one that books are kept by first.
LEVELS: dict[Scheme, tuple[IndustryLevel, ...]] = {
    "gbt4754": ("section", "division"),
    "naics": ("sector",),
    "as_given": ("code",),
}
UNKNOWN = "unknown"

_LETTER = re.compile(r"[A-Ta-t](?![A-Za-z])")
_PREFIX = re.compile(r"[0-9]{2}")
_SECTIONS = {
    f"{division:02d}": letter for letter, (low, high) in DIVISIONS.items() for division in range(low, high + 1)
}
_SECTORS = {
    f"{prefix:02d}": sector for sector in NAICS_NAMES for prefix in range(int(sector[:2]), int(sector[-2:]) + 1)
}
_NAMES = {"gbt4754": SECTION_NAMES | DIVISION_NAMES, "naics": NAICS_NAMES}


@lru_cache(maxsize=8192)
def industry_of(code: str, scheme: Scheme = "gbt4754", level: IndustryLevel | None = None) -> str:
    """The industry of a code at a level of its scheme.

    Args:
        code: as the loan carries it (`K70`, `K`, `7010`, `C1391`, `522110`); blanks around it do not count.
        level: of `gbt4754` the section (a letter) or the division (two digits), of `naics` the sector, of
            `as_given` the code itself; None for the first of these.

    Returns:
        The section, division or sector, or `unknown`: for an empty code, for digits that the scheme does not have, and
        for a code that does not reach the level (`K` has no division) or contradicts itself there (`K13`: division
        13 is of section C). A section is known from its letter whatever follows.

    Raises:
        ValueError: no such scheme, or no such level of it.

    >>> [industry_of(code, level="division") for code in ("C1391", "7010", "K", "K13", "98")]
    ['13', '70', 'unknown', 'unknown', 'unknown']
    >>> industry_of("C1391"), industry_of("7010"), industry_of("522110", "naics", "sector")
    ('C', 'K', '52')
    """
    if scheme not in LEVELS:
        raise ValueError(f"no industry scheme {scheme!r}; known are {', '.join(SCHEMES)}")
    if level is not None and level not in LEVELS[scheme]:
        raise ValueError(f"the scheme {scheme} has no level {level!r}; it has {', '.join(LEVELS[scheme])}")
    code = code.strip()
    if scheme == "as_given":
        return code or UNKNOWN
    if scheme == "naics":
        return _SECTORS.get(code[:2], UNKNOWN)
    letter = code[0].upper() if _LETTER.match(code) else ""
    if letter and level != "division":
        return letter
    prefix = _PREFIX.match(code, len(letter))
    division = prefix[0] if prefix else ""
    section = _SECTIONS.get(division, UNKNOWN)
    if level != "division":
        return section
    return division if section != UNKNOWN and letter in ("", section) else UNKNOWN


def industry_member(code: str, scheme: Scheme = "gbt4754") -> str:
    """The member of the book that a code falls under: `industry_of` at the scheme's first level.

    >>> industry_member("K7010"), industry_member("7010"), industry_member("324110", "naics"), industry_member("")
    ('K', 'K', '31-33', 'unknown')

    Raises:
        ValueError: no such scheme.
    """
    return industry_of(code, scheme)


def section_of(division: str) -> str:
    """The section that a two-digit division of GB/T 4754 belongs to, or `unknown`.

    >>> section_of("13"), section_of("98")
    ('C', 'unknown')
    """
    return _SECTIONS.get(division, UNKNOWN)


def industry_name(member: str, scheme: Scheme = "gbt4754", language: Literal["zh", "en"] = "en") -> str:
    """What to call a section, division or sector in a text; a member without a name is called as it is.

    >>> industry_name("K"), industry_name("66", language="zh"), industry_name("31-33", "naics")
    ('Real estate', '货币金融服务', 'Manufacturing')
    """
    if member == UNKNOWN:
        return UNKNOWN_NAMES[language]
    names = _NAMES.get(scheme, {})
    return names[member][language] if member in names else member
