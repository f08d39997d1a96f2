"""What a mapping may not say although its types allow it. Each problem names the key and the remedy."""

import codecs
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.sources.errors import nearest
from connectors.sources.schema import Mapping, Rule
from connectors.sources.template import parse_template
from connectors.sources.wire import KEYS, FieldSpec, specs


def problems(mapping: Mapping) -> Iterator[str]:
    """What no type can say."""
    known, key = specs(mapping.kind), KEYS[mapping.kind]
    tables = [("fields", mapping.fields), *((f"legs.{leg.name}.fields", leg.fields) for leg in mapping.legs)]
    for place, table in tables:
        for name, rule in table.items():
            if name not in known:
                yield f"{place}.{name}: no field of {mapping.kind}{nearest(name, known)}"
            else:
                yield from _rule_problems(f"{place}.{name}", rule, known[name])
        if key in table and (mapping.key or any(leg.key for leg in mapping.legs)):
            yield f"{place}.{key}: already given by key"
    for place, rule_or_none in (("key", mapping.key), *((f"legs.{leg.name}.key", leg.key) for leg in mapping.legs)):
        if rule_or_none:
            yield from _rule_problems(place, rule_or_none, known[key])
    for name, rule in mapping.columns.items():
        if name in known or name in ("row", "leg"):
            yield f"columns.{name}: this name is taken; choose another"
        yield from _rule_problems(f"columns.{name}", rule, FieldSpec(name=name, shape="text", required=False))
    for leg in mapping.legs or (None,):
        lacking = [name for name, spec in known.items() if spec.required and name not in mapping.rules(leg)]
        if lacking:
            yield f"fields: {', '.join(lacking)} must be given{f' for leg {leg.name}' if leg else ''}"
    for number, item in enumerate(mapping.filters):
        if (item.keep is None) == (item.drop is None):
            yield f"filters[{number}]: give exactly one of keep, drop"
    yield from _leg_problems(mapping)
    yield from _file_problems(mapping)


def _leg_problems(mapping: Mapping) -> Iterator[str]:
    if not mapping.legs:
        return
    if len(mapping.legs) != 2 or mapping.legs[0].name == mapping.legs[1].name:
        yield "legs: give two legs with different names, or none"
        return
    identity = next(iter(specs(mapping.kind)))
    first, second = (mapping.rules(leg).get(identity) for leg in mapping.legs)
    # Two events of one id would be one event: the second leg of every row would be dropped as a duplicate.
    if first == second and first and "{leg}" not in (first.template or ""):
        yield f"legs: {identity} must differ between the legs; use a template with {{leg}}"


def _file_problems(mapping: Mapping) -> Iterator[str]:
    for place, text in (("separator", mapping.separator), ("quote", mapping.quote)):
        if len(text) != 1 or not text.isascii():
            yield f"{place}: {text!r} must be one ASCII character"
    try:
        codecs.lookup(mapping.encoding)
    except LookupError:
        yield f"encoding: {mapping.encoding!r} is unknown; try utf-8, gb18030 or windows-1252"
    yield from _zone_problems("timezone", mapping.timezone)
    if mapping.skip_lines < 0:
        yield "skip_lines: must not be below 0"
    yield from _mark_problems("numbers", mapping.numbers.decimal, mapping.numbers.thousands)


def _rule_problems(place: str, rule: Rule, spec: FieldSpec) -> Iterator[str]:
    sources = [name for name in ("column", "columns", "const", "template", "when") if getattr(rule, name) is not None]
    if len(sources) != 1:
        found = ", ".join(sources) or "none"
        yield f"{place}: give exactly one of column, columns, const, template, when (found {found})"
    if rule.template is not None:
        try:
            parse_template(rule.template)
        except ValueError as error:
            yield f"{place}.template: {error}"
    for number, item in enumerate(rule.when or ()):
        if item.equals is None and item.empty is None and item.below_zero is None:
            yield f"{place}.when[{number}]: give equals, empty or below_zero"
    timed, amount = spec.shape in ("instant", "date"), spec.shape == "amount"
    fits = {
        "format": timed, "formats": timed, "timezone": timed, "unit": timed, "epoch": timed,
        "decimal": amount, "thousands": amount, "absolute": amount,
        "split": spec.shape == "list", "scheme": spec.shape == "text",
    }  # fmt: skip
    defaults = Rule()
    for name, fit in fits.items():
        if not fit and getattr(rule, name) != getattr(defaults, name):
            yield f"{place}.{name}: means nothing for a field of type {spec.shape}"
    if (rule.unit is None) != (rule.epoch is None):
        yield f"{place}: unit and epoch go together"
    if rule.epoch is not None:
        try:
            datetime.fromisoformat(rule.epoch)
        except ValueError:
            yield f'{place}.epoch: {rule.epoch!r} is no ISO date or time such as "2026-01-01"'
    if rule.timezone is not None:
        yield from _zone_problems(f"{place}.timezone", rule.timezone)
    yield from _mark_problems(place, rule.decimal or ".", rule.thousands or "")
    for name, value in (("const", rule.const), ("default", rule.default)):
        if spec.values and value not in (None, "") and str(value) not in spec.values and not rule.map:
            yield f"{place}.{name}: {value!r} is none of {', '.join(spec.values)}{nearest(str(value), spec.values)}"
    for value in [*(rule.map or {}).values(), *(item.then for item in rule.when or ())]:
        if spec.values and str(value) not in ("", *spec.values):
            yield f"{place}: {value!r} is none of {', '.join(spec.values)}{nearest(str(value), spec.values)}"


def _zone_problems(place: str, name: str) -> Iterator[str]:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f'{place}: {name!r} is no IANA time zone such as "Asia/Shanghai"'


def _mark_problems(place: str, decimal: str, thousands: str) -> Iterator[str]:
    if len(decimal) != 1 or decimal.isalnum() or decimal == "-":
        yield f"{place}.decimal: {decimal!r} must be one mark such as . or ,"
    if len(thousands) > 1 or thousands.isalnum() or thousands == "-" or thousands == decimal:
        yield f"{place}.thousands: {thousands!r} must be one mark that differs from the decimal mark, or empty"
