"""What is a source of private data, and what may be asked of it?

A query is fixed by configuration. All that a request adds to it are the claims that the source declares and, where it
says so, keywords of the last user item.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from domain.identity.owners import Owner
from domain.sources.egress_policy import Network

WORD: Final = re.compile(r"[^\W_]{3,40}")
TEXT_LIMIT: Final = 20_000
"""Characters of the last user item that keywords are looked for in: its end, where a question stands."""


class SourceKind(StrEnum):
    HTTP = "http"
    COSMOS = "cosmos"
    SQLITE_SEARCH = "sqlite_search"
    AI_SEARCH = "azure_ai_search"


class CallerClaim(StrEnum):
    """What a token says of its caller: `oid` of a person, `appid` of an application."""

    TID = "tid"
    OID = "oid"
    APPID = "appid"
    ROLES = "roles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One connector to private data.

    `address` is scheme, host and port; `path` is fixed below it (http), or the file (sqlite_search). `target` is the
    database and container (cosmos), the table (sqlite_search) or the index (azure_ai_search). `query` is the text of a
    Cosmos DB query. `parameters` maps the query's names to claims. `keywords` is how many words of the last user item
    may be searched for under the name `keywords_as`; 0: none. `rows` is where the rows stand in an HTTP answer. `scope`
    is what a token is asked for; without it none is sent. `tenants` are those that may use it; empty: all.
    """

    name: str
    kind: SourceKind
    address: str = ""
    path: str = ""
    target: tuple[str, ...] = ()
    query: str = ""
    partition: tuple[CallerClaim, ...] = ()
    parameters: Mapping[str, CallerClaim] = field(default_factory=dict[str, CallerClaim])
    keywords: int = 0
    keywords_as: str = "q"
    rows: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    scope: str = ""
    private: bool = True
    networks: tuple[Network, ...] = ()
    tenants: frozenset[str] = frozenset()
    deadline_s: float = 5.0
    max_rows: int = 20
    max_tokens: int = 1000

    def open_to(self, owner: Owner) -> bool:
        return not self.tenants or owner.tenant in self.tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All sources by name, and which a tenant's turns read that name none; `*` stands for every other tenant."""

    known: Mapping[str, Source] = field(default_factory=dict[str, Source])
    defaults: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unconfigured: frozenset[str] = frozenset()

    def chosen(self, owner: Owner, asked: str | None) -> tuple[str, ...]:
        """Return the names of the sources of a turn; `asked` names them with commas, an empty text none.

        Raises KeyError with the first name that is none of the owner's sources.
        """
        if asked is None:
            names = self.defaults.get(owner.tenant, self.defaults.get("*", ()))
            return tuple(name for name in names if name in self.known and self.known[name].open_to(owner))
        names = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
        for name in names:
            if name not in self.known or not self.known[name].open_to(owner):
                raise KeyError(name)
        return names

    def max_tokens(self, names: Sequence[str]) -> int:
        """Return how many tokens these sources may add to a request."""
        return sum(self.known[name].max_tokens for name in names if name in self.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuery:
    """What a source is asked: its claims' values by the query's names, and the keywords."""

    parameters: Mapping[str, str | tuple[str, ...]]
    partition: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


def query_for(source: Source, owner: Owner, text: str) -> SourceQuery | str:
    """Return what to ask a source for this owner; a text tells why it can't be asked for him.

    `text` is the last user item's: nothing of it but the declared number of keywords gets any further.
    """
    claims = claims_of(owner)
    missing = [claim for claim in (*source.parameters.values(), *source.partition) if claim not in claims]
    if missing:
        return f"the caller has no claim {missing[0]}"
    return SourceQuery(
        parameters={name: claims[claim] for name, claim in source.parameters.items()},
        partition=tuple(str(claims[claim]) for claim in source.partition),
        keywords=keywords_in(text, source.keywords),
    )


def claims_of(owner: Owner) -> Mapping[CallerClaim, str | tuple[str, ...]]:
    kind, _, identifier = owner.subject.partition(":")
    claims: dict[CallerClaim, str | tuple[str, ...]] = {CallerClaim.TID: owner.tenant, CallerClaim.ROLES: owner.roles}
    claims[CallerClaim.OID if kind == "user" else CallerClaim.APPID] = identifier
    return claims


def keywords_in(text: str, most: int) -> tuple[str, ...]:
    """Return up to `most` different words of three letters or digits or more, the longest first: they tell the most."""
    words = dict.fromkeys(word.casefold() for word in WORD.findall(text[-TEXT_LIMIT:]))
    kept = (word for word in words if WORD.fullmatch(word))
    return tuple(sorted(kept, key=lambda word: -len(word))[:most])


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedRows:
    """What a source gave: its rows, or the problem; `left_out` rows had no room."""

    source: str
    rows: tuple[Mapping[str, Any], ...] = ()
    left_out: int = 0
    problem: str = ""
    seconds: float = 0.0

    def to_document(self) -> dict[str, Any]:
        """Return the account of it, without its content: of each row no more than its id."""
        return {
            "source": self.source,
            "rows": len(self.rows),
            "ids": [row_id(row) for row in self.rows],
            "left_out": self.left_out,
            "problem": self.problem,
            "seconds": self.seconds,
        }


def row_id(row: Mapping[str, Any]) -> str:
    found = row.get("id")
    return whole_text(str(found)[:64]) if isinstance(found, str | int) else ""


def whole_text(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no UTF-8 can say."""
    return text.encode(errors="replace").decode()
