"""What does a filter of a search say? The part of OData that compares fields with texts: `a eq 'x' and b eq 'y'`."""

import re

CONDITION = re.compile(r"\s*(?P<field>[A-Za-z]\w*) eq '(?P<value>(?:[^']|'')*)'\s*")


class FilterError(Exception):
    """The filter is none that is understood here."""


def conditions_in(text: str) -> dict[str, str]:
    """Gives each field with the text that it must be."""
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        condition = CONDITION.match(text, place)
        if not condition:
            raise FilterError(f"Invalid expression at position {place}")
        found[condition["field"]] = condition["value"].replace("''", "'")
        place = condition.end()
        if place < len(text):
            if not text.startswith("and ", place):
                raise FilterError(f"Invalid expression at position {place}")
            place += len("and ")
    return found
