"""Is the dashboard laid out so that every diagram is seen?"""

import json

from scripts.boards.__main__ import DASHBOARD
from tests.checks import every


def test_no_diagram_of_the_dashboard_covers_another() -> None:
    cells = [
        (column, row)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for row in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert every(column < 24 for column, _ in cells)
