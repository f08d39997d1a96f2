"""A pack as a workbook: a sheet for each section with numbers as numbers, and one with the ids behind them."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from connectors.reports import texts
from connectors.reports.texts import WORDS
from models.response.kpi import Key, Kpi, Ratio, Spread
from models.response.pack import Line, Pack, amounts, counted
from models.response.pack_text import NAMES, Language, period_text

MOST_ROWS = 1_048_576  # of a sheet, by the format
_QUICK: tuple[Kpi, ...] = ("arrival", "detection")  # seconds; what people do is told in hours
_FORMATS = {"share": "0.0%", "rate": "0.00", "span": "#,##0.00", "points": "+0.0%;-0.0%;0.0%", "count": "#,##0"}


def workbook(pack: Pack, title: str, version: str, language: Language) -> bytes:
    """The file. Clocks are in hours, those of the pipeline itself in seconds.

    Args:
        title, version: of the bank's policy.
    """
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_numbers": False})
    heading = texts.heading(pack, language)
    # A fixed time of making, or two files of the same figures would differ: the day after the period.
    made = datetime.combine(pack.period.last + timedelta(days=1), time())
    book.set_properties({"title": heading, "subject": f"{title} ({version})", "created": made})
    _Book(book, pack, language).write(f"{heading} · {title} · {texts.span_of(pack, language)}")
    book.close()
    return target.getvalue()


class _Book:
    def __init__(self, book: Any, pack: Pack, language: Language) -> None:
        self._book, self._pack, self._language = book, pack, language
        self._words = WORDS[language]
        self._formats = {name: book.add_format({"num_format": text}) for name, text in _FORMATS.items()}
        self._head = book.add_format(
            {"bold": True, "bg_color": "#E8EDF2", "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self._title = book.add_format({"bold": True, "font_size": 14, "font_color": "#1F3F63"})

    def write(self, heading: str) -> None:
        self._summary(heading)
        shown = list(self._pack.summary)
        for section in self._pack.sections:
            sheet = self._sheet(texts.TITLES[self._language][section.topic], 0)
            if section.empty:
                self._text(sheet, 1, 0, texts.EMPTY[self._language][section.topic])
                continue
            self._lines(sheet, 1, section.lines)
            shown += section.lines
        self._ids(dict.fromkeys(line.key for line in shown))

    def _summary(self, heading: str) -> None:
        sheet = self._sheet(self._words["summary"], 2)
        sheet.write_string(0, 0, heading, self._title)
        if self._pack.as_far_as is not None:
            day = texts.day_text(self._pack.as_far_as, self._language)
            self._text(sheet, 1, 0, self._words["not_over"].format(day=day))
        row = self._lines(sheet, 3, self._pack.summary) + 1
        sheet.write_string(row, 0, self._words["changes"], self._title)
        sentences = [getattr(one, self._language) for one in self._pack.changes] or [self._words["no_changes"]]
        for number, sentence in enumerate(sentences, row + 1):
            self._text(sheet, number, 0, sentence)

    def _sheet(self, name: str, head: int) -> Any:
        """A sheet with its header, which stays in sight, in a row."""
        sheet = self._book.add_worksheet(name)
        then = period_text(self._pack.period.before(), self._language)
        now = period_text(self._pack.period, self._language)
        words = self._words
        counts = [words["value"], words["p95"], words["part"], words["whole"]]
        names = [words["figure"], words["by"], words["member"], words["name"], words["unit"]]
        names += [f"{now} {one}" for one in counts] + [f"{then} {one}" for one in counts]
        names += [words["difference"], f"{words['difference']} {words['p95']}"]
        self._header(sheet, head, names, [44, 12, 24, 24, 12, *[13] * 10])
        return sheet

    def _header(self, sheet: Any, row: int, names: Sequence[str], widths: Sequence[int]) -> None:
        for column, (name, width) in enumerate(zip(names, widths, strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(row, column, name, self._head)
        sheet.freeze_panes(row + 1, 0)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(row)

    def _lines(self, sheet: Any, row: int, lines: Sequence[Line]) -> int:
        """Write lines from a row on. Returns the row after them."""
        for line in lines:
            key = line.key
            named = NAMES[self._language][key.kpi], texts.BY[self._language][key.by], key.member
            for column, text in enumerate((*named, texts.member_text(key, self._language), self._unit(line))):
                self._text(sheet, row, column, text)
            self._figure(sheet, row, 5, key, line.now)
            self._figure(sheet, row, 9, key, line.before)
            for column, value in enumerate(line.differences, 13):
                self._number(sheet, row, column, key, line.now, value, difference=True)
            row += 1
        return row

    def _figure(self, sheet: Any, row: int, column: int, key: Key, figure: Ratio | Spread | None) -> None:
        for place, value in enumerate(amounts(figure), column):
            self._number(sheet, row, place, key, figure, value)
        if figure is not None:
            sheet.write_number(row, column + 2, _above(figure), self._formats["count"])
            whole = figure.count if isinstance(figure, Ratio) else counted(figure)
            sheet.write_number(row, column + 3, whole, self._formats["count"])

    def _number(
        self,
        sheet: Any,
        row: int,
        column: int,
        key: Key,
        figure: Ratio | Spread | None,
        value: Decimal | timedelta,
        difference: bool = False,
    ) -> None:
        if isinstance(value, timedelta):
            unit = timedelta(seconds=1) if key.kpi in _QUICK else timedelta(hours=1)
            sheet.write_number(row, column, value / unit, self._formats["span"])
            return
        share = isinstance(figure, Ratio) and figure.per == 1
        name = "rate" if not share else "points" if difference else "share"
        sheet.write_number(row, column, float(value), self._formats[name])

    def _unit(self, line: Line) -> str:
        figure = line.now or line.before
        if isinstance(figure, Ratio):
            return self._words["share" if figure.per == 1 else "per"]
        if figure is None:
            return ""
        return self._words["seconds" if line.key.kpi in _QUICK else "hours"]

    def _ids(self, keys: dict[Key, None]) -> None:
        sheet = self._book.add_worksheet(self._words["ids_sheet"])
        words = self._words
        names = [words["figure"], words["by"], words["member"], words["id"], words["counts_as"], words["value"]]
        self._header(sheet, 0, [*names, words["unit"]], [44, 12, 24, 60, 26, 13, 12])
        row, left = 1, 0
        for key in keys:
            figure = self._pack.figures.get(key)
            named = NAMES[self._language][key.kpi], texts.BY[self._language][key.by], key.member
            for one, counts_as, span in self._behind(key, figure):
                if row >= MOST_ROWS - 1:  # the last row is for saying so
                    left += 1
                    continue
                for column, text in enumerate((*named, one, counts_as)):
                    self._text(sheet, row, column, text)
                if span is not None:
                    self._number(sheet, row, 5, key, figure, span)
                    self._text(sheet, row, 6, words["seconds" if key.kpi in _QUICK else "hours"])
                row += 1
        if left:
            self._text(sheet, row, 0, words["no_room"].format(count=f"{left:,}"))
        sheet.autofilter(0, 0, max(1, row - 1), 6)

    def _behind(self, key: Key, figure: Ratio | Spread | None) -> Iterator[tuple[str, str, timedelta | None]]:
        """(id, what it counts as, how long it took) of each id behind a figure."""
        if isinstance(figure, Spread):
            yield from ((one, "", span) for one, span in sorted(figure.spans.items()))
        elif figure is not None:
            above, below = texts.PARTS[self._language][key.kpi]
            yield from ((one, above, None) for one in sorted(figure.part))
            if not isinstance(figure.whole, int):
                yield from ((one, below, None) for one in sorted(figure.whole - figure.part))

    @staticmethod
    def _text(sheet: Any, row: int, column: int, text: str) -> None:
        # As it is: an id that begins with = is no formula.
        if text:
            sheet.write_string(row, column, text)


def _above(figure: Ratio | Spread) -> int:
    return len(figure.part) if isinstance(figure, Ratio) else counted(figure)
