"""Read a file through a mapping: every row is accepted with its events, or rejected with its reasons.

`read` gives the whole file, `read_chunks` the same part by part, for files that do not fit into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from connectors.sources.raw import Source
from connectors.sources.rules import cell, text_of, with_cells
from connectors.sources.schema import Leg, Mapping, Rule
from connectors.sources.table import Table
from connectors.sources.tables import survey, tables
from connectors.sources.typed import (
    Checked,
    checked_amount,
    checked_boolean,
    checked_integer,
    checked_list,
    checked_text,
    checked_time,
    first_reason,
    parsed_times,
)
from connectors.sources.wire import FieldSpec, Kind, specs, time_field
from models.events import MONEY_KINDS
from models.money import InvalidField, currency_places

Order = Literal["time", "file"]
REJECTED = {"row": pl.Int64, "leg": pl.String, "field": pl.String, "reason": pl.String, "value": pl.String}
# A rejected value is shown to a person; a broken line may be megabytes.
_SHOWN = 200
# Large enough to be quick, small enough for some hundred megabytes.
CHUNK_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class MappedFrame:
    """A file as events. `accepted_rows + rejected_rows == rows`, always.

    Args:
        kind: which events these are.
        accepted: one line an event, one column a wire field (`counterparty.account_id` for nested ones), typed
            and exact, then `row` (1-based data row of the file), `leg` where a row has two, and the extra
            columns of the mapping's `[columns]`.
        rejected: one line a problem: `row`, `leg`, `field`, `reason`, `value`.
        refused: the rejected rows' texts, as the mapping read them, one line a row and leg.
        rows: data rows in the file.
    """

    kind: Kind
    accepted: pl.DataFrame
    rejected: pl.DataFrame
    refused: pl.DataFrame
    rows: int

    @property
    def events(self) -> int:
        """Accepted events; twice the accepted rows where a row has two legs."""
        return self.accepted.height

    @property
    def rejected_rows(self) -> int:
        return self.rejected["row"].n_unique()

    @property
    def accepted_rows(self) -> int:
        return self.rows - self.rejected_rows


def read(path: Path | str, mapping: Mapping, order: Order = "time") -> MappedFrame:
    """Read a file.

    Args:
        path: CSV, JSON lines or Parquet, gzipped or not.
        mapping: how its rows become events.
        order: accepted events by their time (then by row), or as they stand in the file.

    Raises:
        SourceError: the file as a whole cannot be read with this mapping.
    """
    return joined(list(read_chunks(survey(path, mapping), mapping)), order)


def joined(parts: list[MappedFrame], order: Order = "time") -> MappedFrame:
    """Successive parts of a file, at least one, as one."""
    accepted = pl.concat([part.accepted for part in parts], how="vertical_relaxed")  # the widest scale of amounts
    return MappedFrame(
        kind=parts[0].kind,
        accepted=accepted if order == "file" else in_time(accepted, parts[0].kind),
        rejected=pl.concat([part.rejected for part in parts]),
        refused=pl.concat([part.refused for part in parts]),
        rows=sum(part.rows for part in parts),
    )


def in_time(accepted: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Accepted events by their time, then by row; both legs of a row in the order of the mapping."""
    return accepted.sort(time_field(kind), "row", maintain_order=True)


def read_chunks(source: Source, mapping: Mapping, rows: int = CHUNK_ROWS) -> Iterator[MappedFrame]:
    """Read a file part by part, at least one: what `read` gives is all parts, one after the other.

    Args:
        source: as of `connectors.sources.tables.survey`.
        mapping: how its rows become events.
        rows: about how many are held at once.

    Yields:
        Successive rows of the file, accepted events as they stand in it. Amounts have the widest scale of the part:
        parts go together with `vertical_relaxed`.

    Raises:
        SourceError: the file as a whole cannot be read with this mapping, then or later.
    """
    empty = True
    for table in tables(source, mapping, rows):
        empty = False
        yield _mapped(table, mapping, source)
    if empty:
        frame = pl.DataFrame(schema={"row": pl.Int64} | dict.fromkeys(mapping.wanted(), pl.String))
        yield _mapped(Table(frame, [], 0), mapping, source)


def _mapped(table: Table, mapping: Mapping, source: Source) -> MappedFrame:
    broken = pl.DataFrame(
        [(item.row, "", "", item.reason, item.value[:_SHOWN]) for item in table.broken], schema=REJECTED, orient="row"
    )
    filtered, frame = _filtered(table.frame, mapping)
    frame = with_cells(frame, mapping)
    legs = [_leg(frame, mapping, leg, source) for leg in mapping.legs or (None,)]
    rejected = pl.concat([broken, filtered, *(problems for _, problems, _ in legs)]).sort("row", maintain_order=True)
    bad = rejected["row"].unique()
    accepted = pl.concat([typed for typed, _, _ in legs], how="vertical_relaxed")  # the widest scale of amounts
    refused = pl.concat([texts for _, _, texts in legs]).filter(pl.col("row").is_in(bad.implode()))
    return MappedFrame(
        kind=mapping.kind,
        accepted=accepted.filter(~pl.col("row").is_in(bad.implode())).sort("row", maintain_order=True),
        rejected=rejected,
        refused=refused.sort("row", maintain_order=True),
        rows=table.rows,
    )


def _filtered(frame: pl.DataFrame, mapping: Mapping) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The problems of the rows that a filter leaves out, and the rows that stay."""
    problems = []
    for item in mapping.filters:
        value = cell(item.column, mapping).fill_null("")
        stays = value.is_in(list(item.keep)) if item.keep is not None else ~value.is_in(list(item.drop or ()))
        out = frame.filter(~stays)
        problems.append(_problems(out, "", item.column, pl.lit("filtered_out"), pl.col(item.column)))
        frame = frame.filter(stays)
    return pl.concat([pl.DataFrame(schema=REJECTED), *problems]), frame


def _problems(frame: pl.DataFrame, leg: str, field: str, reason: pl.Expr, value: pl.Expr) -> pl.DataFrame:
    shown = value.fill_null("").str.slice(0, _SHOWN)
    return frame.select(
        pl.col("row"),
        pl.lit(leg).alias("leg"),
        pl.lit(field).alias("field"),
        reason.alias("reason"),
        shown.alias("value"),
    ).filter(pl.col("reason").is_not_null())


def _leg(
    frame: pl.DataFrame, mapping: Mapping, leg: Leg | None, source: Source
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """One leg of every row: typed columns, problems, and the texts they come from."""
    known, rules = specs(mapping.kind), mapping.rules(leg)
    texts, missed = [], []
    for name in known:
        text, miss = text_of(rules[name], leg) if name in rules else (pl.lit(None, pl.String), pl.lit(False))
        texts.append(text.alias(name))
        missed.append(miss.alias(f"{name}?"))
    extra = [text_of(rule, leg)[0].alias(name) for name, rule in mapping.columns.items()]
    label = leg.name if leg else ""
    words = frame.select("row", *texts, *missed, *extra).with_columns(leg=pl.lit(label))
    words, scale = _with_places(words, known)
    for name, spec in known.items():
        if spec.shape in ("instant", "date"):
            times = parsed_times(words[name], rules.get(name), mapping, as_date=spec.shape == "date")
            words = words.with_columns(times["naive"].alias(f"{name}@"), times["typed"].alias(f"{name}!"))
    exponents = source.format != "csv"
    checks = {name: _checked(spec, rules.get(name), mapping, scale, exponents) for name, spec in known.items()}
    reasons = {
        name: pl.coalesce(
            first_reason(
                (pl.col(f"{name}?"), "not_mapped"),
                (_needed(mapping.kind, spec) & pl.col(name).is_null(), "missing"),
                (_damaged(name) if source.damaged else pl.lit(False), "bad_encoding"),
            ),
            checks[name][1],
        )
        for name, spec in known.items()
    }
    typed = words.with_columns(
        *(checks[name][0].alias(f"{name}!") for name in known),
        *(reason.alias(f"{name}?") for name, reason in reasons.items()),
    )
    problems = [_problems(typed, label, name, pl.col(f"{name}?"), pl.col(name)) for name in known]
    filled = [
        pl.col(f"{name}!").cast(spec.dtype(scale)).fill_null(pl.lit(spec.default, dtype=spec.dtype(scale))).alias(name)
        for name, spec in known.items()
    ]
    columns = [*known, "row", *(["leg"] if leg else []), *mapping.columns]
    kept = typed.select("row", "leg", *filled, *mapping.columns).select(columns)
    return kept, pl.concat(problems), words.select("row", "leg", *known, *mapping.columns)


def _with_places(words: pl.DataFrame, known: dict[str, FieldSpec]) -> tuple[pl.DataFrame, int]:
    """Add `places` of the row's currency (null for one that is none), and give the widest, at least 2."""
    if "currency" not in known:
        return words.with_columns(places=pl.lit(2)), 2
    spec = known["currency"]
    codes = words["currency"].fill_null(spec.default or "")
    table: dict[str, int | None] = {}
    for code in codes.unique():
        try:
            table[code] = currency_places(code)
        except InvalidField:
            table[code] = None
    places = pl.Series("places", [table[code] for code in codes], pl.Int64)
    return words.with_columns(places), max(2, *(value or 0 for value in table.values()), 0)


def _needed(kind: Kind, spec: FieldSpec) -> pl.Expr:
    if kind == "loans" and spec.name == "amount":
        return pl.col("kind").is_in(sorted(MONEY_KINDS))
    return pl.lit(spec.required)


def _damaged(name: str) -> pl.Expr:
    return pl.col(name).str.contains("\ufffd", literal=True).fill_null(False)


def _checked(spec: FieldSpec, rule: Rule | None, mapping: Mapping, scale: int, exponents: bool) -> Checked:
    text = pl.col(spec.name)
    if spec.shape == "amount":
        return checked_amount(text, pl.col("places"), rule, mapping, scale, exponents)
    if spec.shape in ("instant", "date"):
        naive, typed_time = pl.col(f"{spec.name}@"), pl.col(f"{spec.name}!")
        return checked_time(text, naive, typed_time, as_date=spec.shape == "date")
    if spec.shape == "boolean":
        return checked_boolean(text)
    if spec.shape == "integer":
        return checked_integer(text, spec)
    if spec.shape == "list":
        return checked_list(text, rule, spec)
    typed, reason = checked_text(text, spec)
    if spec.name == "currency":
        unknown = first_reason((text.is_not_null() & pl.col("places").is_null(), "unknown_currency"))
        return typed, pl.coalesce(reason, unknown)
    if mapping.kind == "actions" and spec.name == "case_id":
        return typed, pl.coalesce(reason, first_reason((~text.str.contains(r"^(?s).+#[0-9]+$"), "malformed")))
    return typed, reason
