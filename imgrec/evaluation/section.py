"""What one evaluation says of a run: a section of the report, and its share of metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """A section of the report; its name in `EVALUATIONS` is its anchor.

    title: its heading.
    template: name of a fragment in templates/sections/, or the fragment itself where it holds a `<`; Jinja2,
        in which all that is not marked as safe is escaped.
    data: the values that the fragment names.
    json: what it adds to metrics.json, ready for JSON; no two sections write one key.
    link: its name in the page's navigation where that is shorter than the title; a section of an empty one
        stands in no navigation and has no heading to be seen.
    """

    title: str
    template: str
    data: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    link: str | None = None
