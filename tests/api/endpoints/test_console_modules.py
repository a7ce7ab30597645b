"""Do the modules of the console decide well, without a browser?"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from settings import ROOT

NODE = shutil.which("node")

ARRIVE = """
globalThis.location = {{
  hostname: "{host}",
  hash: "#token=given&laptop=http%3A%2F%2F127.0.0.1%3A1%2Fkill&view={view}",
  pathname: "/console"
}};
globalThis.history = {{ replaceState: (state, title, address) => {{ location.hash = address; }} }};
const api = await import("{folder}/api.js");
api.signInFromAddress();
console.log(JSON.stringify([api.signedIn(), api.onLaptop(), location.hash]));
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Return the address of a copy of the console that every Node.js takes for modules."""
    shutil.copytree(ROOT / "console", tmp_path / "console")
    (tmp_path / "console" / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return (tmp_path / "console").as_uri()


def said(script: str) -> Any:
    """Return what a script of the console's modules writes, which is JSON."""
    if NODE is None:
        pytest.skip("needs Node.js")
    command = [NODE, "--input-type=module", "--no-warnings", "--eval", script]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - ours


@pytest.mark.parametrize(("host", "signs_in"), [("127.0.0.1", True), ("localhost", True), ("app.example", False)])
def test_a_link_signs_a_person_in_on_this_machine_alone(folder: str, host: str, *, signs_in: bool) -> None:
    """The token of a foreign link would be somebody else's, who then reads what is asked. It leaves the address."""
    arrived = said(ARRIVE.format(host=host, folder=folder, view=""))
    assert arrived == [signs_in, signs_in, "/console#/turns"]


@pytest.mark.parametrize(
    ("view", "address"),
    [
        ("turn/resp_1", "/console#/turn/resp_1"),
        ("money", "/console#/money"),
        ("//example.com", "/console#/turns"),
        ("turn/a/b", "/console#/turns"),
    ],
)
def test_a_link_names_the_view_that_it_opens(folder: str, view: str, address: str) -> None:
    assert said(ARRIVE.format(host="127.0.0.1", folder=folder, view=view))[-1] == address


def test_the_day_that_a_page_cuts_is_not_shown_as_a_whole(folder: str) -> None:
    page = {"data": [{"day": "2026-11-03"}, {"day": "2026-11-02"}, {"day": "2026-11-02"}]}
    script = """const {{ wholeDays }} = await import("{folder}/money.js");
    const pages = [{page}, {{ ...{page}, has_more: true }}, null];
    console.log(JSON.stringify(pages.map((each) => wholeDays(each).length)));"""
    assert said(script.format(page=json.dumps(page), folder=folder)) == [3, 1, 0]


def run(first: int | None, taken_over_at: float | None = None) -> dict[str, Any]:
    return {"first_event": first, "taken_over_at": taken_over_at}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runs", "takeovers"),
    [
        ([run(0)], []),
        ([run(0, 5.0), run(21)], [21]),
        ([run(0), run(21)], []),  # a planned handover
        ([run(0, 5.0), run(None, 6.0), run(21, 7.0), run(40)], [21, 40]),
        ([run(None, 5.0), run(0)], []),  # nothing was written before
    ],
)
def test_a_text_changes_its_colour_where_a_run_went_on_after_a_death(
    folder: str, runs: list[dict[str, Any]], takeovers: list[int]
) -> None:
    script = """const {{ takeoversOf }} = await import("{folder}/timeline.js");
    console.log(JSON.stringify(takeoversOf({runs})));"""
    assert said(script.format(runs=json.dumps(runs), folder=folder)) == takeovers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("session", "worked"),
    [
        ({"last_request_at": 60}, [[10, 60]]),  # of an earlier release
        ({"works": True, "last_request_at": 60}, [[10, 90]]),
        ({"worked": [[10, 20], [50, 60]], "last_request_at": 60}, [[10, 20], [50, 60]]),
        ({"worked": [[10, 20], [50, 80]], "works": True, "sharers": {"at": 80}}, [[10, 20], [50, 90]]),
        ({"worked": [], "sharers": {"at": 80}}, []),
    ],
)
def test_a_lane_separates_work_from_its_pauses(folder: str, session: dict[str, Any], worked: list[list[int]]) -> None:
    script = """const {{ workOf }} = await import("{folder}/lanes.js");
    console.log(JSON.stringify(workOf({session}, 10, 90)));"""
    assert said(script.format(session=json.dumps(session), folder=folder)) == worked


@pytest.mark.parametrize(
    ("session", "ready"),
    [
        ({"started_at": 10, "ready_at": 40, "ended_at": None}, 40),
        ({"started_at": 10, "ready_at": None, "ended_at": None}, 90),
        ({"started_at": 10, "ready_at": None, "ended_at": 80}, 10),  # nobody has seen when
    ],
)
def test_a_gpu_that_still_starts_is_not_shown_as_idle(folder: str, session: dict[str, Any], ready: int) -> None:
    script = """const {{ readyOf }} = await import("{folder}/lanes.js");
    console.log(JSON.stringify(readyOf({session}, 90)));"""
    assert said(script.format(session=json.dumps(session), folder=folder)) == ready


def test_the_month_is_added_up_from_a_row_of_each_day() -> None:
    """A page of days and causes would end before the month's first days."""
    text = (ROOT / "console" / "money.js").read_text(encoding="utf-8")
    assert '{ group_by: "day", from: `${month}-01`, limit: 100 }' in text
    assert "<${Month} rows=${days.data?.data ?? []}" in text
