"""Which files of the project are deployed? Those that .funcignore, in git's notation, does not leave out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SIGNS = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
SIGN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule:
    """One line of an ignore file; `keeps` is the line with `!` that takes back an earlier one."""

    pattern: re.Pattern[str]
    folders_only: bool
    keeps: bool


def rules_from_text(text: str) -> tuple[IgnoreRule, ...]:
    """Read an ignore file in git's notation."""
    lines = (line.rstrip() for line in text.splitlines())
    return tuple(rule_from_line(line) for line in lines if line and not line.startswith("#"))


def rule_from_line(line: str) -> IgnoreRule:
    keeps = line.startswith("!")
    said = line.removeprefix("!").removeprefix("\\")
    path = said.rstrip("/")
    anchored = "/" in path
    pattern = "".join(SIGNS.get(sign, sign_to_pattern(sign)) for sign in SIGN.findall(path.removeprefix("/")))
    prefix = "" if anchored else r"(?:.*/)?"
    return IgnoreRule(pattern=re.compile(prefix + pattern), folders_only=said.endswith("/"), keeps=keeps)


def sign_to_pattern(sign: str) -> str:
    return sign.replace("[!", "[^") if sign.startswith("[") else re.escape(sign)


def is_ignored(rules: Sequence[IgnoreRule], path: str, *, folder: bool) -> bool:
    """Tell whether the last rule that speaks of a path leaves it out; a path's folders are asked before it."""
    ignored = False
    for rule in rules:
        if (folder or not rule.folders_only) and rule.pattern.fullmatch(path):
            ignored = not rule.keeps
    return ignored


def packaged(root: Path) -> Iterator[Path]:
    """Give the files of a project that its .funcignore leaves in, relative to it; a folder left out is not entered."""
    rules = rules_from_text((root / ".funcignore").read_text())
    yield from entered(root, root, rules)


def entered(root: Path, folder: Path, rules: Sequence[IgnoreRule]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        path = entry.relative_to(root)
        if is_ignored(rules, path.as_posix(), folder=entry.is_dir()):
            continue
        if entry.is_dir():
            yield from entered(root, entry, rules)
        else:
            yield path
