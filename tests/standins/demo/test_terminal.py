"""How does the demo look in a file, and on a terminal?"""

import pytest

from standins.demo.terminal import TerminalScreen, timeline_text
from tests.checks import every


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


def test_the_timeline_starts_at_its_first_step() -> None:
    steps = [{"step": "admitted", "at": 10.0}, {"step": "routed", "at": 10.025}]
    assert timeline_text(steps) == "admitted 0 ms · routed 25 ms"
