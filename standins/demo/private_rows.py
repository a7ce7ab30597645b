"""Which rows of private data did a turn use, and which facts of its answer come only from them?"""

import re
from collections.abc import Iterator, Mapping, Sequence

from standins.demo.terminal import INDENT, WIDTH
from standins.json_values import Json
from standins.private_data.accounts import ACCOUNTS

SOURCES = "orders,documents"
FACT = re.compile(r"[\w-]*\d[\w-]*")
"""Numbers, dates and codes: facts that a model can't guess."""


def rows_of(tenant: str, user: str) -> Mapping[str, str]:
    """Gives the text of each row of a user by its id."""
    accounts = [each for each in ACCOUNTS if (each.tenant, each.user) == (tenant, user)]
    rows = [row for account in accounts for row in (*account.orders, *account.documents)]
    return {str(row["id"]): " · ".join(str(row[name]) for name in row if name != "id") for row in rows}


def used_rows(accounts: Sequence[Json]) -> Sequence[tuple[str, str]]:
    """Gives the source and the id of each row that a turn used."""
    return [(account["source"], identifier) for account in accounts for identifier in account["ids"]]


def shown_rows(used: Sequence[tuple[str, str]], rows: Mapping[str, str]) -> Iterator[str]:
    for source, identifier in used:
        line = f"{source:<10} {identifier:<7} {rows.get(identifier, '')}"
        yield line if len(line) <= WIDTH - INDENT else f"{line[: WIDTH - INDENT - 1]}…"


def facts_in(answer: str, rows: Mapping[str, str], *, known_text: str) -> Sequence[tuple[str, str]]:
    """Gives each fact of an answer that comes from a row and is not in `known_text`, with the id of the row."""
    known = set(FACT.findall(known_text))
    facts = [fact for fact in dict.fromkeys(FACT.findall(answer)) if fact not in known]
    sources = {fact: [row for row, text in rows.items() if fact == row or fact in FACT.findall(text)] for fact in facts}
    return [(fact, found[0]) for fact, found in sources.items() if found]
