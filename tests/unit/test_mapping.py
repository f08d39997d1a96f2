"""What a mapping may say, and how it is told what it may not."""

from pathlib import Path

import pytest

from connectors.sources import MappingError, load_mapping, parse_mapping, read, to_events
from connectors.sources.mapping import wire_mapping
from connectors.sources.wire import EVENTS, Kind, specs
from tests.data import ROOT

LOANS = """
name = "loans"
kind = "loans"
[fields]
event_id = "id"
event_time = { column = "day", format = "%d.%m.%Y" }
entity = { const = "BANK1" }
loan_id = "loan"
borrower_id = "customer"
kind = { const = "disbursed" }
amount = "sum"
currency = { const = "CNY" }
"""


def test_short_and_long_forms_mean_the_same() -> None:
    long = LOANS.replace('loan_id = "loan"', 'loan_id = { column = "loan" }')
    assert parse_mapping(LOANS) == parse_mapping(long)


def test_the_key_fills_the_field_that_the_topic_is_keyed_by() -> None:
    keyed = LOANS.replace('borrower_id = "customer"', "").replace("[fields]", 'key = "customer"\n[fields]')
    assert parse_mapping(keyed).rules(None)["borrower_id"] == parse_mapping(LOANS).rules(None)["borrower_id"]


@pytest.mark.parametrize(
    ("wrong", "right", "says"),
    [
        ("loan_id =", "lone_id =", 'fields.lone_id: no field of loans (did you mean "loan_id"?)'),
        ('kind = "loans"', 'kind = "loan"', "Invalid enum value 'loan'"),
        ("format = ", "fromat = ", '(did you mean "format"?)'),
        ('name = "loans"', 'name = "loans"\nseperator = ";"', '(did you mean "separator"?)'),
        ('name = "loans"', 'name = "loans"\nseparator = ";;"', "separator: ';;' must be one ASCII character"),
        ('name = "loans"', 'name = "loans"\ntimezone = "Beijing"', "timezone: 'Beijing' is no IANA time zone"),
        ('name = "loans"', 'name = "loans"\nencoding = "gbk18030"', "encoding: 'gbk18030' is unknown"),
        ('name = "loans"', 'name = "loans"\nskip_lines = -1', "skip_lines: must not be below 0"),
        ('name = "loans"', 'name = "loans"\nkey = "x"', "fields.borrower_id: already given by key"),
        ('loan_id = "loan"', "", "fields: loan_id must be given"),
        ('loan_id = "loan"', "loan_id = {}", "fields.loan_id: give exactly one of column"),
        ('loan_id = "loan"', 'loan_id = { column = "a", const = "b" }', "(found column, const)"),
        (
            'loan_id = "loan"',
            'loan_id = { template = "{}" }',
            "fields.loan_id.template: '{}' may hold only plain names",
        ),
        ('loan_id = "loan"', 'loan_id = { template = "{row" }', "fields.loan_id.template: expected '}'"),
        ('loan_id = "loan"', 'loan_id = { column = "a", format = "%Y" }', "fields.loan_id.format: means nothing"),
        (
            'loan_id = "loan"',
            'loan_id = { when = [{ column = "a", then = "x" }] }',
            "fields.loan_id.when[0]: give equals",
        ),
        ('const = "disbursed"', 'const = "dispersed"', '(did you mean "disbursed"?)'),
        ('{ const = "disbursed" }', '{ column = "k", map = { A = "paid" } }', "fields.kind: 'paid' is none of"),
        ('format = "%d.%m.%Y"', 'unit = "days"', "fields.event_time: unit and epoch go together"),
        ('format = "%d.%m.%Y"', 'unit = "days", epoch = "soon"', "fields.event_time.epoch: 'soon' is no ISO date"),
        ('amount = "sum"', 'amount = { column = "sum", decimal = ",", thousands = "," }', "fields.amount.thousands"),
        ('amount = "sum"', 'amount = { column = "sum", decimal = "0" }', "fields.amount.decimal"),
        ("[fields]", '[columns]\nloan_id = "x"\n[fields]', "columns.loan_id: this name is taken"),
        ("[fields]", '[[filters]]\ncolumn = "x"\n[fields]', "filters[0]: give exactly one of keep, drop"),
        ("[fields]", '[[legs]]\nname = "a"\n[fields]', "legs: give two legs with different names"),
        ("[fields]", '[[legs]]\nname = "a"\n[[legs]]\nname = "b"\n[fields]', "legs: event_id must differ"),
        ("[fields]", "[fields", "not TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_key(wrong: str, right: str, says: str) -> None:
    assert wrong in LOANS
    with pytest.raises(MappingError) as error:
        parse_mapping(LOANS.replace(wrong, right), "mine.toml")
    assert str(error.value).startswith("mine.toml: ")
    assert says in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"none\.toml: cannot be read"):
        load_mapping(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "deploy" / "mappings").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_mappings_load_under_their_own_name(path: Path) -> None:
    assert load_mapping(path).name == path.stem


@pytest.mark.parametrize("kind", EVENTS)
def test_every_wire_field_may_be_mapped(kind: Kind) -> None:
    mapping = wire_mapping(kind)
    assert set(mapping.fields) == set(specs(kind))
    assert not [name for name, spec in specs(kind).items() if spec.required and mapping.fields[name].optional]


def test_the_example_of_the_manual_works(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
    mapping = parse_mapping(manual.partition("```toml\n")[2].partition("```")[0])
    path = tmp_path / "core.csv"
    path.write_text(
        "CustNo;CustType;Branch;Journal;Date;Time;Account;Amount;Cur;Channel;TxCode;PayeeAccount;PayeeName;PayerName;Status\n"
        "C1;1;07;9;20260302;101500;A1;-1.234,50;;EBANK;;X9;李四;;BOOKED\n"
        "C1;1;07;10;20260302;101500;A1;5,00;;CASH;INT;;;;VOID\n",
        encoding="gb18030",
    )
    mapped = read(path, mapping)
    (event,) = to_events(mapped)
    assert (event.event_id, str(event.amount), event.direction) == ("core-07-9", "1234.50", "out")
    assert (event.method, event.origin, event.counterparty.name) == ("transfer", "customer", "李四")
    assert mapped.rejected["reason"].to_list() == ["filtered_out"]
