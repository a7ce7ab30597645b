"""What is a source of private data, and which query does a turn send to it?

Configuration fixes the query. A request adds only the caller's claims that the source declares and, where the source
allows it, keywords of the last user item.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from domain.content.untrusted_text import whole_text
from domain.identity.owners import Owner
from domain.sources.blob_names import NAMED, BlobName, blob_name
from domain.sources.egress_policy import Network

WORD: Final = re.compile(r"[^\W_]{3,40}")
TEXT_LIMIT: Final = 20_000
"""Keywords are taken from this many characters at the end of the last user item, where a question usually is."""


class SourceKind(StrEnum):
    HTTP = "http"
    COSMOS = "cosmos"
    SQLITE_SEARCH = "sqlite_search"
    AI_SEARCH = "azure_ai_search"
    BLOB = "blob"


class CallerClaim(StrEnum):
    """A claim about the caller: people have an `oid`, applications have an `appid`."""

    TID = "tid"
    OID = "oid"
    APPID = "appid"
    ROLES = "roles"


class Source(Struct, frozen=True, kw_only=True):
    """One connector to private data.

    `address` is scheme, host and port, and of a blob source the address of the account; `path` is that of the URL
    (http), of the file (sqlite_search) or of the blob, with `{names}` of parameters. `target` is the database and
    container (cosmos), the table (sqlite_search), the index (azure_ai_search) or the containers (blob). `query` is the
    text of a Cosmos DB query. `parameters` maps the query's names to claims. `keywords` is how many words of the last
    user item are sent under the name `keywords_as`; 0: none. `rows` is the path of the rows in an HTTP answer. `scope`
    is the scope of the access token; where it is empty, no token is sent. `tenants` may use the source; empty: all
    tenants. `is_tool`: the model may read the source by a call, and reads its `description`. A blob of more than
    `max_bytes` is not read.
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
    is_tool: bool = False
    description: str = ""
    max_bytes: int = 1_000_000

    @property
    def reads_named_blob(self) -> bool:
        """Whether the input of a turn names what is read."""
        return self.kind is SourceKind.BLOB and self.path.endswith(NAMED)

    def is_open_to(self, owner: Owner) -> bool:
        return not self.tenants or owner.tenant in self.tenants


class Sources(Struct, frozen=True, kw_only=True):
    """All sources by name, and each tenant's default sources; `*` stands for all other tenants."""

    known: Mapping[str, Source] = field(default_factory=dict[str, Source])
    defaults: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unconfigured: frozenset[str] = frozenset()

    def selected(self, owner: Owner, requested: str | None) -> tuple[str, ...]:
        """Return the names of a turn's sources. `requested` lists names with commas; an empty text selects no source.

        Raises KeyError with the first name that is not a source of the owner.
        """
        if requested is None:
            names = self.defaults.get(owner.tenant, self.defaults.get("*", ()))
            return tuple(name for name in names if name in self.known and self.known[name].is_open_to(owner))
        names = tuple(dict.fromkeys(name.strip() for name in requested.split(",") if name.strip()))
        for name in names:
            if name not in self.known or not self.known[name].is_open_to(owner):
                raise KeyError(name)
        return names

    def max_tokens(self, names: Sequence[str]) -> int:
        """Return how many tokens these sources may add to a request."""
        return sum(self.known[name].max_tokens for name in names if name in self.known)

    def has_blob(self, names: Sequence[str]) -> bool:
        """Tell whether one of these sources reads a blob: whoever may write one is no author to be trusted."""
        return any(self.known[name].kind is SourceKind.BLOB for name in names if name in self.known)


class SourceQuery(Struct, frozen=True, kw_only=True):
    """The variable parts of a query: the values of claims by parameter name, the keywords, and the blob to read."""

    parameters: Mapping[str, str | tuple[str, ...]]
    partition: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    blob: BlobName | None = None


def query_for(source: Source, owner: Owner, text: str) -> SourceQuery | str:
    """Return the query to a source for this owner, or a text that explains why the source cannot be queried.

    `text` is the last user item. Only the declared number of keywords, and the name of a blob, leave this function.
    """
    claims = claims_of(owner)
    missing = [claim for claim in (*source.parameters.values(), *source.partition) if claim not in claims]
    if missing:
        return f"the access token has no {missing[0]} claim, which the source requires"
    parameters = {name: claims[claim] for name, claim in source.parameters.items()}
    blob = blob_of(source, parameters, text)
    if isinstance(blob, str):
        return blob
    return SourceQuery(
        blob=blob,
        parameters=parameters,
        partition=tuple(str(claims[claim]) for claim in source.partition),
        keywords=keywords_in(text, source.keywords),
    )


def blob_of(source: Source, parameters: Mapping[str, str | tuple[str, ...]], text: str) -> BlobName | str | None:
    if source.kind is not SourceKind.BLOB:
        return None
    names = {name: value for name, value in parameters.items() if isinstance(value, str)}
    return blob_name(source.address, source.target, source.path, names, text)


def claims_of(owner: Owner) -> Mapping[CallerClaim, str | tuple[str, ...]]:
    kind, _, identifier = owner.subject.partition(":")
    claims: dict[CallerClaim, str | tuple[str, ...]] = {CallerClaim.TID: owner.tenant, CallerClaim.ROLES: owner.roles}
    claims[CallerClaim.OID if kind == "user" else CallerClaim.APPID] = identifier
    return claims


def keywords_in(text: str, most: int) -> tuple[str, ...]:
    """Return up to `most` different words of at least three letters or digits, the longest (most specific) first."""
    words = dict.fromkeys(word.casefold() for word in WORD.findall(text[-TEXT_LIMIT:]))
    kept = (word for word in words if WORD.fullmatch(word))
    return tuple(sorted(kept, key=lambda word: -len(word))[:most])


class FetchedRows(Struct, frozen=True, kw_only=True):
    """The result of a query: rows, or a problem; `left_out` counts rows that exceeded the limits."""

    source: str
    rows: tuple[Mapping[str, Any], ...] = ()
    left_out: int = 0
    problem: str = ""
    seconds: float = 0.0

    def to_document(self) -> dict[str, Any]:
        """Return a report without content: each row is reduced to its id."""
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
