"""Writes both boards: `python -m scripts.boards`."""

import json
from pathlib import Path
from typing import Any, Final

from scripts.boards.grafana import dashboard
from scripts.boards.panels import PANELS
from scripts.boards.workbook import workbook

ROOT: Final = Path(__file__).resolve().parents[2]
WORKBOOK: Final = ROOT / "infra" / "azure" / "workbook.json"
DASHBOARD: Final = ROOT / "infra" / "grafana" / "dashboard.json"


def text_of(board: dict[str, Any]) -> str:
    return json.dumps(board, indent=2) + "\n"


def main() -> None:
    WORKBOOK.write_text(text_of(workbook(PANELS)), encoding="utf-8")
    DASHBOARD.write_text(text_of(dashboard(PANELS)), encoding="utf-8")


if __name__ == "__main__":
    main()
