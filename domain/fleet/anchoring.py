"""Can a caller's own words make a body match a pattern?

A model server may quote the prompt in its error. A pattern that decides by such a body must begin at the body's first
character and reach its words through text that no caller writes: literals, digits, spaces and short names.
"""

import re
from typing import Final

LEAST_LETTERS: Final = 8
"""A pattern must state this many literal characters outside its groups: fewer could begin any body."""

GROUP_MARK: Final = "\x00"
ATOM: Final = rf"(?:[^\\.^$*+?{{}}\[\]|(){GROUP_MARK}]|\\[^\w\s]|\\[dws]|\[(?:[\w\-./]|\\[dw.])+\])"
SEQUENCE: Final = rf"(?:{ATOM}(?:[*+?]|\{{\d+(?:,\d*)?\}})?|{GROUP_MARK}\??)*"
GROUP: Final = re.compile(rf"\((?:\?:)?{SEQUENCE}(?:\|{SEQUENCE})*\)")
WHOLE: Final = re.compile(rf"(?:\(\?i\))?(?:\^|\\A)(?P<rest>{SEQUENCE})(?:\$|\\Z)?")
QUANTIFIED: Final = re.compile(rf"(?:\\[dws]|\[[^\]]*\]|{GROUP_MARK})(?:[*+?]|\{{\d+(?:,\d*)?\}})?|.[*?]")


def is_anchored(pattern: str) -> bool:
    """Tell whether a pattern starts at the body's first character and allows no free text before its words.

    Refused are alternatives outside a group, `.`, negated classes, lookarounds and flags other than `(?i)`.
    """
    found = WHOLE.fullmatch(without_groups(pattern))
    if found is None:
        return False
    literals = QUANTIFIED.sub("", found["rest"]).replace("\\", "")
    return len(literals) >= LEAST_LETTERS


def without_groups(pattern: str) -> str:
    """Replace every well-formed group by a mark, the innermost first."""
    while True:
        shorter = GROUP.sub(GROUP_MARK, pattern)
        if shorter == pattern:
            return pattern
        pattern = shorter


def anchored_form(text: str) -> str:
    """Return a pattern for bodies that begin with a text, as an error message suggests it."""
    words = re.sub(r"^(\(\?[a-z]+\))?\^?(\.\*)?", "", text)
    return "^" + re.sub(r"(?<!\\)([.^$*+?{}\[\]|()])", r"\\\1", words)
