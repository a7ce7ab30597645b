"""Which docs, docstrings and messages use a phrase that scripts/phrases.txt bans?

    python -m scripts.phrases

It prints one line for each hit and exits with 1 when there is one. A comment with `phrase: allowed` on a line of the
text permits it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
LIST = ROOT / "scripts" / "phrases.txt"
OPT_OUT = "phrase: allowed"
OTHERS = {"node_modules"}  # hidden folders are skipped too


class Text(NamedTuple):
    """A run of text and the first and last line that it occupies in its file."""

    words: str
    first: int
    last: int


def banned_phrases(lines: str) -> list[str]:
    """Return the phrases of a list; empty lines and lines that begin with # are comments."""
    return [line.strip().casefold() for line in lines.splitlines() if line.strip() and not line.startswith("#")]


def literal(node: ast.AST) -> str | None:
    """Return the words of a string, with {} for each value that an f-string inserts."""
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def python_texts(source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        words = literal(node)
        if words and isinstance(node, ast.Constant | ast.JoinedStr):
            yield Text(words, node.lineno, node.end_lineno or node.lineno)


def markdown_texts(source: str) -> Iterator[Text]:
    """Yield each paragraph: a phrase may run over the end of a line."""
    for match in re.finditer(r"(?:.+\n?)+", source):
        first = source.count("\n", 0, match.start()) + 1
        yield Text(match.group(), first, first + match.group().rstrip("\n").count("\n"))


def line_of(text: Text, phrase: str, lines: list[str]) -> int:
    """Return the line that holds the phrase, or the first line of its text where the phrase wraps."""
    numbers = range(text.first, text.last + 1)
    return next((number for number in numbers if phrase in lines[number - 1].casefold()), text.first)


def hits(path: str, source: str, phrases: list[str]) -> Iterator[str]:
    """Yield a line for each text of a file that uses a banned phrase without a permit."""
    lines = source.splitlines()
    texts = python_texts(source) if path.endswith(".py") else markdown_texts(source)
    found: set[tuple[int, str]] = set()
    for text in texts:
        words = " ".join(text.words.split()).casefold()
        used = [each for each in phrases if each in words and re.search(rf"\b{re.escape(each)}\b", words)]
        if used and not any(OPT_OUT in line for line in lines[text.first - 1 : text.last]):
            found |= {(line_of(text, phrase, lines), phrase) for phrase in used}
    for line, phrase in sorted(found):
        yield f"{path}:{line}: banned phrase '{phrase}'; say it plainly, or add a comment '{OPT_OUT}'"


def files(root: Path) -> Iterator[Path]:
    for folder, below, names in root.walk():
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in OTHERS)
        yield from (folder / name for name in sorted(names) if name.endswith((".md", ".py")))


def main() -> int:
    phrases = banned_phrases(LIST.read_text(encoding="utf-8"))
    found = [
        hit
        for file in files(ROOT)
        for hit in hits(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"), phrases)
    ]
    print("\n".join(found) or f"none of the {len(phrases)} banned phrases is used")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
