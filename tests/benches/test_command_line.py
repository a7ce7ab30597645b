"""Tests the command lines of the benchmarks, and what a long run says meanwhile."""

import sys

import pytest

from benches import command_line
from benches.command_line import chosen_number, counted


def chosen(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return chosen_number(100, "turns")


def test_a_benchmark_without_a_number_takes_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (chosen(monkeypatch), chosen(monkeypatch, "3")) == (100, 3)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "²"])
def test_a_wrong_number_is_named(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        chosen(monkeypatch, "--", text)
    assert f"argument TURNS: expected a whole number above 0, found {text}" in capsys.readouterr().err


def test_the_help_names_the_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        chosen(monkeypatch, "-h")
    assert "[TURNS]" in capsys.readouterr().out


def test_a_long_run_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command_line, "PROGRESS_S", 0.0)
    assert list(counted(range(2), "turns")) == [0, 1]
    assert capsys.readouterr().err == "  0 of 2 turns ...\n  1 of 2 turns ...\n"


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted(range(2), "turns")) == [0, 1]
    assert not capsys.readouterr().err
