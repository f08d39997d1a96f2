"""Any file as events: `load_mapping`, `read`, `to_events`. The format of a mapping is in `docs/mapping.md`."""

from connectors.sources.errors import MappingError, SourceError
from connectors.sources.events import to_events
from connectors.sources.mapping import Mapping, load_mapping, parse_mapping, wire_mapping
from connectors.sources.reader import MappedFrame, read

__all__ = [
    "MappedFrame",
    "Mapping",
    "MappingError",
    "SourceError",
    "load_mapping",
    "parse_mapping",
    "read",
    "to_events",
    "wire_mapping",
]
