"""Dashboards as Grafana reads them: panels side by side, thresholds, variables (schema version 39, Grafana 11)."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["timeseries", "stat", "table"]
COLUMNS, HEIGHT = 24, 8
SOURCE = {"type": "prometheus", "uid": "prometheus"}


class Panel(Struct, frozen=True, kw_only=True):
    """A panel.

    Args:
        says: what it shows and what to do about it, for whoever hovers over its title.
        queries: (PromQL, legend) of each line.
        unit: Grafana's name of it.
        width: of the `COLUMNS` of a row.
        colours: (from which value on, colour), ascending; None: Grafana's own.
        stacked: lines are put on one another.
    """

    title: str
    says: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 12
    colours: tuple[tuple[float | None, str], ...] | None = None
    stacked: bool = False


class Dashboard(Struct, frozen=True, kw_only=True):
    """A page of panels.

    Args:
        since: what it shows at first, such as `24h`.
        chosen: (variable, query of its values), to be chosen at the top.
    """

    uid: str
    title: str
    says: str
    since: str
    panels: tuple[Panel, ...]
    chosen: tuple[tuple[str, str], ...] = ()


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The file of a dashboard."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.says,
        "tags": ["liandong"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": f"now-{dashboard.since}", "to": "now"},
        "templating": {"list": [_variable(name, query) for name, query in dashboard.chosen]},
        "panels": list(_placed(dashboard.panels)),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    """Panels side by side, row by row."""
    x = y = row = 0
    for number, panel in enumerate(panels, 1):
        height = HEIGHT // 2 if panel.kind == "stat" else HEIGHT
        if x + panel.width > COLUMNS:
            x, y = 0, y + row
        row = height if x == 0 else max(row, height)
        yield _panel(panel, number, {"h": height, "w": panel.width, "x": x, "y": y})
        x += panel.width


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    table = panel.kind == "table"
    defaults: dict[str, Any] = {"unit": panel.unit, "custom": {}}
    if panel.colours is not None:
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in panel.colours],
        }
    if panel.kind == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
        if panel.stacked:
            defaults["custom"] |= {"stacking": {"mode": "normal"}, "fillOpacity": 40}
        if panel.colours is not None:
            defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
    found: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": table or panel.kind == "stat",
                "range": not (table or panel.kind == "stat"),
                "format": "table" if table else "time_series",
            }
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }
    if table:
        hidden = {"Time": True, "__name__": True, "job": True}
        found["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    if panel.kind == "stat":
        found["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "auto"}
    return found
