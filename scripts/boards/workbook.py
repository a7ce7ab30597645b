"""How do the panels become a workbook of Azure Monitor?"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from scripts.boards.kql import kql
from scripts.boards.panels import Measure, Panel

TEXT: Final = 1
QUERY: Final = 3
PARAMETERS: Final = 9
"""The types of a workbook's items."""

LOG_WORKSPACE: Final = "microsoft.operationalinsights/workspaces"
HOURS: Final = (1, 4, 24, 72, 168, 720)


def workbook(panels: Sequence[Panel]) -> dict[str, Any]:
    """Return the document that `serializedData` of a `Microsoft.Insights/workbooks` resource holds."""
    items: list[dict[str, Any]] = [time_range()]
    for group, members in groupby(panels, key=lambda panel: panel.group):
        items.append({"type": TEXT, "name": group, "content": {"json": f"## {group}"}})
        items.extend(diagram(panel) for panel in members)
    return {
        "version": "Notebook/1.0",
        "items": items,
        "isLocked": False,
        "fallbackResourceIds": ["azure monitor"],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def time_range() -> dict[str, Any]:
    parameter = {
        "id": "5d6f7a52-7d4c-4a4e-9f52-0d8f4c1f3b10",
        "version": "KqlParameterItem/1.0",
        "name": "TimeRange",
        "type": 4,
        "isRequired": True,
        "value": {"durationMs": 24 * 3_600_000},
        "typeSettings": {
            "selectableValues": [{"durationMs": hours * 3_600_000} for hours in HOURS],
            "allowCustom": True,
        },
    }
    content = {"version": "KqlParameterItem/1.0", "parameters": [parameter], "style": "pills"}
    return {"type": PARAMETERS, "name": "time range", "content": content}


def diagram(panel: Panel) -> dict[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "query": kql(panel),
        "size": 0,
        "title": panel.title + (", highest" if panel.measure is Measure.TOP else ""),
        "timeContextFromParameter": "TimeRange",
        "queryType": 0,
        "resourceType": LOG_WORKSPACE,
        "visualization": "linechart",
    }
    return {"type": QUERY, "name": panel.title, "content": content, "customWidth": "50"}
