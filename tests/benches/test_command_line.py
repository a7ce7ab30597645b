"""Tests the command lines of the benchmarks, and what a long run says meanwhile."""

import sys

import pytest

from benches import command_line
from benches.command_line import check_words, chosen_number, chosen_numbers, counted
from benches.tools import waiting


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
    shown = capsys.readouterr().out
    assert "[TURNS]" in shown
    assert "above 0; default: 100" in shown


def test_a_long_run_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command_line, "PROGRESS_S", 0.0)
    assert list(counted(range(2), "turns")) == [0, 1]
    assert capsys.readouterr().err == "  0 of 2 turns ...\n  1 of 2 turns ...\n"


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted(range(2), "turns")) == [0, 1]
    assert not capsys.readouterr().err


def test_a_benchmark_may_take_several_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "50", "200"])
    assert chosen_numbers((1,), "streams") == [50, 200]
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert chosen_numbers((1,), "streams") == (1,)


@pytest.mark.parametrize(
    ("words", "sizes"), [((), (waiting.TURNS, waiting.WAITING)), (("3",), (3, waiting.WAITING)), (("3", "50"), (3, 50))]
)
def test_the_bench_of_waiting_takes_one_number_or_two(
    words: tuple[str, ...], sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    assert waiting.chosen_sizes() == sizes


def test_a_wrong_number_of_the_bench_of_waiting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "3", "many"])
    with pytest.raises(SystemExit):
        waiting.chosen_sizes()
    assert "argument WAITING: expected a whole number above 0, found many" in capsys.readouterr().err


def test_an_unknown_word_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "counted"])
    check_words(("counted", "record"))
    monkeypatch.setattr(sys, "argv", ["bench", "weeks"])
    with pytest.raises(SystemExit):
        check_words(("counted", "record"))
    assert "unknown weeks; choose some of counted, record" in capsys.readouterr().err
