"""Does the demo notice what it promises, and does it happen?"""

import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseCompletedEvent, ResponseTextDeltaEvent

from standins.demo.bill import budget_lines, environment_in, gpu_lines, sum_lines, sums, turn_lines
from standins.demo.following import DemoError, Reading
from standins.demo.gpu import dollars_a_second
from standins.demo.private import facts_in, rows_of, shown_rows, used_rows
from standins.demo.screen import Screen, timeline_text
from tests.checks import every
from tests.standins.processes import ROOT


def delta(number: int, text: str) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent.model_construct(
        type="response.output_text.delta", sequence_number=number, item_id="m", delta=text
    )


def completed(number: int, text: str, status: str = "completed") -> ResponseCompletedEvent:
    content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}]
    item: dict[str, Any] = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    fields: dict[str, Any] = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [item]}
    required: dict[str, Any] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": status}
    response = Response.model_validate({**fields, **required})
    return ResponseCompletedEvent(type="response.completed", sequence_number=number, response=response)


def reading(*events: ResponseTextDeltaEvent | ResponseCompletedEvent) -> Reading:
    made = Reading()
    for event in events:
        made.take(event)
    return made


def test_a_whole_stream_passes() -> None:
    assert reading(delta(0, "a"), delta(1, "b"), completed(2, "ab")).checked().output_text == "ab"


@pytest.mark.parametrize(
    ("made", "promise"),
    [
        (reading(delta(0, "a")), "reaches its end"),
        (reading(delta(0, "a"), completed(2, "a")), "no gap"),
        (reading(delta(0, "a"), delta(0, "a"), completed(1, "aa")), "no gap"),
        (reading(delta(0, "a"), completed(1, "b")), "what was streamed"),
        (reading(delta(0, "a"), completed(1, "a", "failed")), "succeeds, not failed"),
        (reading(completed(0, "")), "there is an answer"),
    ],
)
def test_a_broken_promise_is_named(made: Reading, promise: str) -> None:
    with pytest.raises(DemoError, match=promise):
        made.checked()


def test_a_text_that_comes_in_pieces_is_wrapped_below_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(colours=False)
    for number in range(60):
        screen.say("model", f" {number}")
    screen.line("end", "of it")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("  model    0 1 2 3")
    assert lines[1].startswith("           ")
    assert lines[-1] == "  end      of it"
    assert every(len(line) <= 110 for line in lines)


def test_a_word_that_comes_in_pieces_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(colours=False)
    for piece in [*(" word" for _ in range(19)), " light", "house", " keep", "er"]:
        screen.say("model", piece)
    screen.end()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == "lighthouse keeper"


def test_colours_are_for_terminals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(colours=False).title("plain")
    Screen(colours=True).title("bold")
    assert capsys.readouterr().out == "\nplain\n\n\x1b[1mbold\x1b[0m\n"


def test_a_gpu_costs_what_the_files_of_fleet_and_prices_say() -> None:
    rate = dollars_a_second("laptop-gpu")
    assert rate == Decimal("0.0001867") + 8 * Decimal("0.000018") + 32 * Decimal("0.000002")
    assert dollars_a_second("scripted-gpu") is None


def test_the_timeline_counts_from_its_first_step() -> None:
    steps = [{"step": "admitted", "at": 10.0}, {"step": "routed", "at": 10.025}]
    assert timeline_text(steps) == "admitted 0 ms · routed 25 ms"


def test_a_fact_is_what_an_answer_has_from_a_row_alone() -> None:
    rows = {"D-1": "lasts 36 months", "D-2": "12 days, code HERON-7"}
    assert facts_in("36 months, says D-1, and HERON-7", rows, said="") == [
        ("36", "D-1"),
        ("D-1", "D-1"),
        ("HERON-7", "D-2"),
    ]
    assert facts_in("36 months", rows, said="it may be 36 months") == []
    assert facts_in("24 months", rows, said="") == []


def test_the_rows_that_were_used_are_shown_with_their_text_on_one_line() -> None:
    accounts = [{"source": "orders", "ids": ["A-1001"]}, {"source": "documents", "ids": ["D-13", "D-99"]}]
    lines = list(shown_rows(used_rows(accounts), rows_of("contoso", "alice")))
    assert lines[0].split()[:4] == ["orders", "A-1001", "a", "telescope"]
    assert lines[1].endswith("…")
    assert lines[2].split() == ["documents", "D-99"]
    assert every(len(line) < 100 for line in lines)


def test_nobody_elses_rows_are_shown() -> None:
    assert set(rows_of("contoso", "bob")) == {"B-2001", "D-21"}


def account(**usd: str) -> dict[str, Any]:
    names = ("gpu", "cold", "tail", "tokens", "held", "store", "functions")
    lines = {f"{name}_usd": usd.get(name, "0") for name in names}
    total = sum((Decimal(amount) for amount in lines.values()), Decimal(0))
    return {"bill": {"status": "final", **lines, "total_usd": f"{total:f}"}}


def test_the_bill_tells_turns_lines_sessions_and_budgets() -> None:
    reports = [account(gpu="0.0000012", store="0.0000001"), account(tail="0.25")]
    assert list(turn_lines([("why?", reports[0])])) == ["$0.000001300  why?"]
    told = list(sum_lines(sums(reports)))
    assert told[0] == "$0.000001200  the GPU at work"
    assert "$0.250000000  its idle tail, shared" in told
    assert told[-1] == "$0.250001300  in all"
    assert not [line for line in told if "held" in line]
    session = {"number": 1, "requests": 2, "billed_s": 16.0, "start_s": 5.0}
    assert list(gpu_lines("laptop-gpu", [session])) == [
        "session 1: 2 requests, 16.0 s (5.0 s the start, 10.0 s the tail), at $0.0003947 a second: $0.00631520"
    ]
    budgets = [
        {"budget": "owner_day", "limit_usd": "5", "taken_usd": "0.5"},
        {"budget": "tenant_day", "limit_usd": "0", "taken_usd": "0.5"},
    ]
    assert list(budget_lines(budgets)) == ["$0.500000000 of $5 (owner day): 10.00 %"]


def test_the_demos_gpu_has_the_tail_of_its_stand_in_in_fleet_and_prices(tmp_path: Path) -> None:
    given = environment_in(tmp_path)
    fleet, prices = (tomllib.loads(Path(given[name]).read_text()) for name in ("GANGLION_FLEET", "GANGLION_PRICES"))
    assert (
        fleet["backends"]["laptop-gpu"]["cold"]["tail_s"] == fleet["backends"]["scripted-gpu"]["cold"]["tail_s"] == 10
    )
    assert prices["prices"]["cloud-run-l4"]["tail_s"] == 10


def test_it_all_happens_with_the_scripted_model(tmp_path: Path) -> None:
    environment = {**os.environ, "MODEL": "scripted", "COLD": "2", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "standins.demo"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    printed = done.stdout
    assert done.returncode == 0, printed + done.stderr
    assert [text for text in ("asleep at", "starting at", "ready at") if text not in printed] == []
    assert "no start, no call for a credential" in printed
    assert '"36" stands in D-11' in printed
    assert "orders     A-1001  a telescope" in printed
    assert "provider session 1" in printed
    assert "in all" in printed
    assert "of $5 (owner day)" in printed
    assert "kill -9" in printed
    assert "without a gap" in printed
    assert "It all happened" in printed
    assert list(tmp_path.iterdir()) == []
