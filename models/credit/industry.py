"""Which industry a loan belongs to, by the policy's scheme: one member of the book for every code.

Sources: GB/T 4754-2017 (sections A to T by ranges of two-digit divisions); NAICS 2017 (two-digit sectors;
31-33, 44-45 and 48-49 are one sector each; 99 is what the filer left unclassified).
"""

import re
from functools import lru_cache
from typing import Literal

from models.credit.industries import DIVISIONS, NAICS_NAMES, SECTION_NAMES, UNKNOWN_NAMES

Scheme = Literal["gbt4754", "naics", "as_given"]
SCHEMES: tuple[Scheme, ...] = ("gbt4754", "naics", "as_given")
UNKNOWN = "unknown"

_LETTER = re.compile(r"[A-Ta-t](?![A-Za-z])")
_PREFIX = re.compile(r"[0-9]{2}")
_SECTIONS = {
    f"{division:02d}": letter for letter, (low, high) in DIVISIONS.items() for division in range(low, high + 1)
}
_SECTORS = {
    f"{prefix:02d}": sector for sector in NAICS_NAMES for prefix in range(int(sector[:2]), int(sector[-2:]) + 1)
}


@lru_cache(maxsize=8192)
def industry_member(code: str, scheme: Scheme = "gbt4754") -> str:
    """The member of the book that a code falls under.

    Args:
        code: as the loan carries it; blanks around it do not count. It may be empty.
        scheme: `gbt4754` gives a section letter, `naics` a sector, `as_given` the code itself.

    Returns:
        The member, or `unknown` for an empty code or a prefix that the scheme does not have.

    >>> industry_member("K7010"), industry_member("7010"), industry_member("324110", "naics"), industry_member("")
    ('K', 'K', '31-33', 'unknown')

    Raises:
        ValueError: no such scheme.
    """
    code = code.strip()
    if scheme == "as_given":
        return code or UNKNOWN
    if scheme == "naics":
        prefix = _PREFIX.match(code)
        return _SECTORS.get(prefix[0], UNKNOWN) if prefix else UNKNOWN
    if scheme == "gbt4754":
        if _LETTER.match(code):
            return code[0].upper()
        prefix = _PREFIX.match(code)
        return _SECTIONS.get(prefix[0], UNKNOWN) if prefix else UNKNOWN
    raise ValueError(f"no industry scheme {scheme!r}; known are {', '.join(SCHEMES)}")


def industry_name(member: str, scheme: Scheme = "gbt4754", language: Literal["zh", "en"] = "en") -> str:
    """What to call a member in a text; a member without a name is called as it is.

    >>> industry_name("K"), industry_name("K", language="zh"), industry_name("31-33", "naics")
    ('Real estate', '房地产业', 'Manufacturing')
    """
    if member == UNKNOWN:
        return UNKNOWN_NAMES[language]
    names = {"gbt4754": SECTION_NAMES, "naics": NAICS_NAMES}.get(scheme, {})
    return names[member][language] if member in names else member
