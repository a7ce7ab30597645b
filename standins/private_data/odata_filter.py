"""Which conditions does an OData filter state? Only comparisons with texts: `a eq 'x' and b eq 'y'`."""

import re

CONDITION = re.compile(r"\s*(?P<field>[A-Za-z]\w*) eq '(?P<value>(?:[^']|'')*)'\s*")


class FilterError(Exception):
    """The filter uses syntax that is not supported here."""


def conditions_in(text: str) -> dict[str, str]:
    """Gives each field with its required text."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        condition = CONDITION.match(text, position)
        if not condition:
            raise FilterError(f"Invalid expression at position {position}")
        found[condition["field"]] = condition["value"].replace("''", "'")
        position = condition.end()
        if position < len(text):
            if not text.startswith("and ", position):
                raise FilterError(f"Invalid expression at position {position}")
            position += len("and ")
    return found
