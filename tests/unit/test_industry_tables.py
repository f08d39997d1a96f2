"""The industry classifications as data: every division and sector, its names, and codes as they come on the wire."""

from itertools import chain

import pytest

from models.credit.industries import DIVISIONS, NAICS_NAMES, SECTION_NAMES
from models.credit.industry import (
    LEVELS,
    IndustryLevel,
    Scheme,
    industry_member,
    industry_name,
    industry_of,
    section_of,
)
from models.credit.industry_divisions import DIVISION_NAMES

CODES = [f"{division:02d}" for division in range(1, 98)]


def test_all_ninety_seven_divisions_are_there_once() -> None:
    assert list(DIVISION_NAMES) == CODES
    assert len({names["zh"] for names in DIVISION_NAMES.values()}) == 97
    assert len({names["en"] for names in DIVISION_NAMES.values()}) == 97


def test_every_division_belongs_to_exactly_one_section() -> None:
    owners = {code: [s for s, (low, high) in DIVISIONS.items() if low <= int(code) <= high] for code in CODES}
    assert all(len(sections) == 1 for sections in owners.values())
    assert {code: section_of(code) for code in CODES} == {code: sections[0] for code, sections in owners.items()}
    sizes = [high - low + 1 for low, high in DIVISIONS.values()]
    assert sizes == [5, 7, 31, 3, 4, 2, 8, 2, 3, 4, 1, 2, 3, 4, 3, 1, 2, 5, 6, 1]
    assert (len(SECTION_NAMES), sum(sizes)) == (20, 97)


def test_names_are_given_in_both_languages() -> None:
    for names in chain(SECTION_NAMES.values(), DIVISION_NAMES.values(), NAICS_NAMES.values()):
        assert names["zh"].strip() == names["zh"] != ""
        assert not names["zh"].isascii()
        assert names["en"].strip() == names["en"] != ""
        assert names["en"].isascii()
        assert names["en"][0].isupper()


@pytest.mark.parametrize(
    ("division", "section", "zh", "en"),
    [
        ("01", "A", "农业", "Farming"),
        ("05", "A", "农、林、牧、渔专业及辅助性活动", None),
        ("11", "B", "开采专业及辅助性活动", None),
        ("13", "C", "农副食品加工业", "Processing of food from agricultural products"),
        ("36", "C", "汽车制造业", "Manufacture of automobiles"),
        ("43", "C", "金属制品、机械和设备修理业", None),
        ("44", "D", "电力、热力生产和供应业", None),
        ("47", "E", "房屋建筑业", "Construction of buildings"),
        ("51", "F", "批发业", "Wholesale trade"),
        ("58", "G", "多式联运和运输代理业", None),
        ("66", "J", "货币金融服务", "Monetary and financial services"),
        ("70", "K", "房地产业", "Real estate"),
        ("83", "P", "教育", "Education"),
        ("96", "S", "基层群众自治组织及其他组织", None),
        ("97", "T", "国际组织", "International organisations"),
    ],
)
def test_known_divisions(division: str, section: str, zh: str, en: str | None) -> None:
    assert section_of(division) == section
    assert industry_name(division, "gbt4754", "zh") == zh
    if en is not None:
        assert industry_name(division) == en


def test_the_twenty_sectors_of_naics_2022_and_the_unclassified() -> None:
    assert list(NAICS_NAMES) == ("11 21 22 23 31-33 42 44-45 48-49 51 52 53 54 55 56 61 62 71 72 81 92 99".split())
    assert industry_name("52", "naics") == "Finance and insurance"
    assert industry_name("81", "naics") == "Other services (except public administration)"


@pytest.mark.parametrize(
    ("code", "scheme", "level", "industry"),
    [
        ("K70", "gbt4754", "section", "K"),
        ("K70", "gbt4754", "division", "70"),
        ("K", "gbt4754", "section", "K"),
        ("K", "gbt4754", "division", "unknown"),  # it has one division only, but the code does not say so
        ("7010", "gbt4754", "section", "K"),
        ("7010", "gbt4754", "division", "70"),
        ("C1391", "gbt4754", "section", "C"),
        ("C1391", "gbt4754", "division", "13"),
        ("c1391", "gbt4754", "division", "13"),
        (" 0111 ", "gbt4754", "division", "01"),
        ("K13", "gbt4754", "division", "unknown"),
        ("C", "gbt4754", None, "C"),
        ("C1", "gbt4754", "division", "unknown"),
        ("00", "gbt4754", "division", "unknown"),
        ("98", "gbt4754", "division", "unknown"),
        ("A98", "gbt4754", "division", "unknown"),
        ("U10", "gbt4754", "section", "unknown"),
        ("U10", "gbt4754", "division", "unknown"),
        ("\uff17\uff10", "gbt4754", "division", "unknown"),
        ("", "gbt4754", "division", "unknown"),
        ("522110", "naics", "sector", "52"),
        ("522110", "naics", None, "52"),
        ("33", "naics", "sector", "31-33"),
        ("60", "naics", "sector", "unknown"),
        ("K70", "naics", "sector", "unknown"),
        ("retail", "as_given", "code", "retail"),
        ("", "as_given", None, "unknown"),
    ],
)
def test_codes_as_on_the_wire(code: str, scheme: Scheme, level: IndustryLevel | None, industry: str) -> None:
    assert industry_of(code, scheme, level) == industry
    if level in (None, LEVELS[scheme][0]):
        assert industry_member(code, scheme) == industry


def test_every_division_is_found_from_its_codes() -> None:
    for code in CODES:
        section = section_of(code)
        for written in (code, f"{code}10", f"{section}{code}", f"{section}{code}99"):
            assert (industry_of(written), industry_of(written, level="division")) == (section, code)


def test_a_level_or_scheme_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="naics has no level 'division'; it has sector"):
        industry_of("522110", "naics", "division")
    with pytest.raises(ValueError, match="no industry scheme 'sic'"):
        industry_of("10", "sic")  # type: ignore[arg-type]
