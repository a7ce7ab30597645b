"""How is the output of the demo printed: plain in a file, coloured on a terminal?"""

import os
import re
import sys
from typing import Any

RESET = "\x1b[0m"
STYLES = {"title": "\x1b[1m", "you": "\x1b[36m", "model": "\x1b[32m", "crash": "\x1b[31m", "quiet": "\x1b[2m"}
INDENT = 11
WIDTH = 110
BLANKS = re.compile(r"\s+")
WORD = re.compile(r"\s*\S+(?=\s)")


class TerminalScreen:
    def __init__(self, *, colours: bool) -> None:
        self.colours = colours
        self.column = 0
        self.pending = ""
        self.style = ""

    def title(self, text: str) -> None:
        self.end()
        print("\n" + self.paint(text, "title"), flush=True)

    def field(self, label: str, text: str, style: str = "") -> None:
        """Prints a labelled paragraph; further lines are indented."""
        self.end()
        self.write(label, text, style)
        self.end()

    def row(self, text: str) -> None:
        """Prints a row of a table unwrapped."""
        self.end()
        print(" " * INDENT + self.paint(text, "quiet"), flush=True)

    def write(self, label: str, piece: str, style: str = "model") -> None:
        """Prints a piece of a streamed text after its label; a word appears when it is complete."""
        if self.column == 0 and piece:
            print(self.paint(f"  {label:<{INDENT - 2}}", "quiet"), end="", flush=True)
            self.column = INDENT
        self.pending, self.style = self.pending + piece, style
        whole = 0
        for word in WORD.finditer(self.pending):
            self.put(word.group())
            whole = word.end()
        self.pending = self.pending[whole:]

    def put(self, text: str) -> None:
        word = BLANKS.sub(" ", text)
        if self.column > INDENT and self.column + len(word) > WIDTH:
            print("\n" + " " * INDENT, end="")
            self.column = INDENT
        shown = word.lstrip() if self.column == INDENT else word
        print(self.paint(shown, self.style), end="", flush=True)
        self.column += len(shown)

    def end(self) -> None:
        if self.pending:
            self.put(self.pending)
            self.pending = ""
        if self.column:
            print(flush=True)
        self.column = 0

    def paint(self, text: str, style: str) -> str:
        return f"{STYLES[style]}{text}{RESET}" if self.colours and style in STYLES else text


def open_screen() -> TerminalScreen:
    return TerminalScreen(colours=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))


def timeline_text(timeline: list[dict[str, Any]]) -> str:
    """Gives each step with the milliseconds since the first one."""
    start = timeline[0]["at"]
    return " · ".join(f"{entry['step']} {1000 * (entry['at'] - start):.0f} ms" for entry in timeline)
