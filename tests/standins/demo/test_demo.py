"""Does the demo check what it shows, and does it succeed?"""

import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseCompletedEvent, ResponseTextDeltaEvent

from domain.config.tools_toml import tools_from_toml
from standins.demo.approved_refund import tools_in
from standins.demo.costs import budget_lines, environment_in, gpu_lines, line_sums, sum_lines, turn_lines
from standins.demo.gpu import dollars_a_second
from standins.demo.private_rows import facts_in, rows_of, shown_rows, used_rows
from standins.demo.terminal import TerminalScreen, timeline_text
from standins.demo.turn_stream import DemoError, TurnReader
from tests.checks import every
from tests.standins.programs import ROOT


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


def reader_of(*events: ResponseTextDeltaEvent | ResponseCompletedEvent) -> TurnReader:
    reader = TurnReader()
    for event in events:
        reader.read(event)
    return reader


def test_a_complete_stream_passes() -> None:
    assert reader_of(delta(0, "a"), delta(1, "b"), completed(2, "ab")).checked_response().output_text == "ab"


@pytest.mark.parametrize(
    ("reader", "expectation"),
    [
        (reader_of(delta(0, "a")), "without a final event"),
        (reader_of(delta(0, "a"), completed(2, "a")), "no gap"),
        (reader_of(delta(0, "a"), delta(0, "a"), completed(1, "aa")), "no gap"),
        (reader_of(delta(0, "a"), completed(1, "b")), "what was streamed"),
        (reader_of(delta(0, "a"), completed(1, "a", "failed")), "succeeds .status failed."),
        (reader_of(completed(0, "")), "there is an answer"),
    ],
)
def test_a_failed_check_states_its_expectation(reader: TurnReader, expectation: str) -> None:
    with pytest.raises(DemoError, match=expectation):
        reader.checked_response()


def test_a_streamed_text_is_wrapped_and_indented_below_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    screen = TerminalScreen(colours=False)
    for number in range(60):
        screen.write("model", f" {number}")
    screen.field("end", "last line")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("  model    0 1 2 3")
    assert lines[1].startswith("           ")
    assert lines[-1] == "  end      last line"
    assert every(len(line) <= 110 for line in lines)


def test_a_streamed_word_is_not_broken_across_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = TerminalScreen(colours=False)
    for piece in [*(" word" for _ in range(19)), " light", "house", " keep", "er"]:
        screen.write("model", piece)
    screen.end()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == "lighthouse keeper"


def test_colours_are_printed_only_on_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalScreen(colours=False).title("plain")
    TerminalScreen(colours=True).title("bold")
    assert capsys.readouterr().out == "\nplain\n\n\x1b[1mbold\x1b[0m\n"


def test_a_gpu_costs_what_fleet_and_price_files_say() -> None:
    rate = dollars_a_second("laptop-gpu")
    assert rate == Decimal("0.0001867") + 8 * Decimal("0.000018") + 32 * Decimal("0.000002")
    assert dollars_a_second("scripted-gpu") == rate
    assert dollars_a_second("scripted") is None


def test_the_timeline_starts_at_its_first_step() -> None:
    steps = [{"step": "admitted", "at": 10.0}, {"step": "routed", "at": 10.025}]
    assert timeline_text(steps) == "admitted 0 ms · routed 25 ms"


def test_a_fact_comes_from_a_row_and_was_not_known_before() -> None:
    rows = {"D-1": "lasts 36 months", "D-2": "12 days, code HERON-7"}
    assert facts_in("36 months, says D-1, and HERON-7", rows, known_text="") == [
        ("36", "D-1"),
        ("D-1", "D-1"),
        ("HERON-7", "D-2"),
    ]
    assert facts_in("36 months", rows, known_text="it may be 36 months") == []
    assert facts_in("24 months", rows, known_text="") == []


def test_used_rows_are_shown_with_their_text_on_one_line() -> None:
    accounts = [{"source": "orders", "ids": ["A-1001"]}, {"source": "documents", "ids": ["D-13", "D-99"]}]
    lines = list(shown_rows(used_rows(accounts), rows_of("contoso", "alice")))
    assert lines[0].split()[:4] == ["orders", "A-1001", "a", "telescope"]
    assert lines[1].endswith("…")
    assert lines[2].split() == ["documents", "D-99"]
    assert every(len(line) < 100 for line in lines)


def test_rows_of_other_users_are_not_shown() -> None:
    assert set(rows_of("contoso", "bob")) == {"B-2001", "D-21"}


def account(**usd: str) -> dict[str, Any]:
    names = ("gpu", "cold", "tail", "tokens", "held", "store", "functions")
    lines = {f"{name}_usd": usd.get(name, "0") for name in names}
    total = sum((Decimal(amount) for amount in lines.values()), Decimal(0))
    return {"bill": {"status": "final", **lines, "total_usd": f"{total:f}"}}


def test_the_bill_lists_turns_lines_sessions_and_budgets() -> None:
    reports = [account(gpu="0.0000012", store="0.0000001"), account(tail="0.25")]
    assert list(turn_lines([("why?", reports[0])])) == ["$0.000001300  why?"]
    lines = list(sum_lines(line_sums(reports)))
    assert lines[0] == "$0.000001200  GPU at work"
    assert "$0.250000000  GPU idle time, shared" in lines
    assert lines[-1] == "$0.250001300  total"
    assert not [line for line in lines if "reserved" in line]
    session = {"number": 1, "requests": 2, "billed_s": 16.0, "start_s": 5.0}
    assert list(gpu_lines("laptop-gpu", [session])) == [
        "session 1: 2 requests, 16.0 s billed (5.0 s start, 10.0 s idle), $0.0003947 per second: $0.00631520"
    ]
    budgets = [
        {"budget": "owner_day", "limit_usd": "5", "taken_usd": "0.5"},
        {"budget": "tenant_day", "limit_usd": "0", "taken_usd": "0.5"},
    ]
    assert list(budget_lines(budgets)) == ["$0.500000000 of $5 used (owner day): 10.00 %"]


def test_fleet_and_prices_of_the_demo_have_the_idle_time_of_its_gpu(tmp_path: Path) -> None:
    given = environment_in(tmp_path)
    fleet, prices = (tomllib.loads(Path(given[name]).read_text()) for name in ("GANGLION_FLEET", "GANGLION_PRICES"))
    assert (
        fleet["backends"]["laptop-gpu"]["cold"]["idle_s"] == fleet["backends"]["scripted-gpu"]["cold"]["idle_s"] == 10
    )
    assert prices["prices"]["cloud-run-l4"]["idle_s"] == 10


def test_the_demo_succeeds_with_the_scripted_model(tmp_path: Path) -> None:
    environment = {**os.environ, "MODEL": "scripted", "COLD": "2", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "standins.demo"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    printed = done.stdout
    assert done.returncode == 0, printed + done.stderr
    assert [text for text in ("cold at", "starting at", "ready at") if text not in printed] == []
    assert "no GPU start, no credential call" in printed
    assert '"36" from D-11' in printed
    assert "orders     A-1001  a telescope" in printed
    assert "provider session 1" in printed
    assert "total" in printed
    assert "of $5 used (owner day)" in printed
    assert "kill -9" in printed
    assert "without a gap" in printed
    assert "tool     find_order" in printed
    assert "1 refund from 2 requests" in printed
    assert "The demo succeeded" in printed
    assert list(tmp_path.iterdir()) == []


def test_the_refund_of_the_demo_takes_an_order_of_the_shop_alone(tmp_path: Path) -> None:
    text = Path(tools_in(tmp_path)["GANGLION_TOOLS"]).read_text(encoding="utf-8")
    shop = tools_from_toml(text, {"GANGLION_SHOP_URL": "http://127.0.0.1:1"}, on_azure=False).known["shop"]
    refund, find = (shop.tools[name].input_schema["properties"]["number"] for name in ("refund_order", "find_order"))
    assert refund["enum"] == ["A-1001", "A-1002"]
    assert "enum" not in find
