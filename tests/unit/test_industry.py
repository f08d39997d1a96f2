"""Codes to members of the book: every division and sector, and what is none of them."""

import pytest

from models.credit.industries import DIVISIONS, NAICS_NAMES, SECTION_NAMES, Names
from models.credit.industry import SCHEMES, Scheme, industry_member, industry_name


@pytest.mark.parametrize(
    ("section", "first", "last"),
    [
        ("A", 1, 5), ("B", 6, 12), ("C", 13, 43), ("D", 44, 46), ("E", 47, 50), ("F", 51, 52), ("G", 53, 60),
        ("H", 61, 62), ("I", 63, 65), ("J", 66, 69), ("K", 70, 70), ("L", 71, 72), ("M", 73, 75), ("N", 76, 79),
        ("O", 80, 82), ("P", 83, 83), ("Q", 84, 85), ("R", 86, 90), ("S", 91, 96), ("T", 97, 97),
    ],
)  # fmt: skip
def test_gbt4754_divisions(section: str, first: int, last: int) -> None:
    for division in range(first, last + 1):
        assert industry_member(f"{division:02d}") == section
        assert industry_member(f"{division:02d}10") == section
        assert industry_member(f"{section}{division:02d}1") == section


def test_gbt4754_ranges_leave_no_gap_and_do_not_overlap() -> None:
    covered = [division for low, high in DIVISIONS.values() for division in range(low, high + 1)]
    assert covered == list(range(1, 98))


@pytest.mark.parametrize(
    ("code", "scheme", "member"),
    [
        ("", "gbt4754", "unknown"),
        ("  ", "gbt4754", "unknown"),
        ("00", "gbt4754", "unknown"),
        ("98", "gbt4754", "unknown"),
        ("7", "gbt4754", "unknown"),
        ("U10", "gbt4754", "unknown"),
        ("AB", "gbt4754", "unknown"),
        ("\uff2b70", "gbt4754", "unknown"),
        ("\uff17\uff10", "gbt4754", "unknown"),
        ("k70", "gbt4754", "K"),
        ("K", "gbt4754", "K"),
        (" 7010 ", "gbt4754", "K"),
        ("", "naics", "unknown"),
        ("324110", "naics", "31-33"),
        ("31-33", "naics", "31-33"),
        ("33", "naics", "31-33"),
        ("454390", "naics", "44-45"),
        ("484110", "naics", "48-49"),
        ("491110", "naics", "48-49"),
        ("999990", "naics", "99"),
        ("111110.0", "naics", "11"),
        ("431110", "naics", "unknown"),
        ("1e5", "naics", "unknown"),
        ("K70", "naics", "unknown"),
        ("", "as_given", "unknown"),
        (" retail ", "as_given", "retail"),
    ],
)
def test_members(code: str, scheme: Scheme, member: str) -> None:
    assert industry_member(code, scheme) == member


def test_there_are_twenty_sections_and_twenty_one_sectors() -> None:
    assert list(SECTION_NAMES) == list(DIVISIONS) == list("ABCDEFGHIJKLMNOPQRST")
    assert len(NAICS_NAMES) == 21


def test_names_in_two_languages() -> None:
    tables: list[tuple[dict[str, Names], Scheme]] = [(SECTION_NAMES, "gbt4754"), (NAICS_NAMES, "naics")]
    for names, scheme in tables:
        for member in names:
            zh = industry_name(member, scheme, "zh")
            en = industry_name(member, scheme, "en")
            assert zh
            assert en.isascii()
            assert zh != en
    assert [industry_name("unknown", scheme, "zh") for scheme in SCHEMES] == ["行业不明"] * 3
    assert industry_name("retail", "as_given") == "retail"


def test_an_unknown_scheme_is_an_error() -> None:
    with pytest.raises(ValueError, match="no industry scheme 'sic'"):
        industry_member("10", "sic")
