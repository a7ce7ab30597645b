"""Does the demo notice what it promises, and does it happen?"""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseCompletedEvent, ResponseTextDeltaEvent

from standins.demo.following import DemoError, Reading
from standins.demo.gpu import dollars_a_second
from standins.demo.screen import Screen, timeline_text
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
    assert all(len(line) <= 110 for line in lines)


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
    assert "bill     session 1" in printed
    assert "kill -9" in printed
    assert "without a gap" in printed
    assert "It all happened" in printed
    assert list(tmp_path.iterdir()) == []
