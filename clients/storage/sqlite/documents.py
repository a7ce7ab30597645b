"""How are documents stored in one SQLite table?

Every function works on a connection of the calling thread and sees no document that has expired at `now`. The columns
kind, status and at repeat fields of the body for `find`; rows come as (id, body, etag).
"""

import json
import re
import sqlite3
from typing import Any, Final

from clients.storage.damage import body_from
from clients.storage.port import (
    Add,
    Body,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    FoundDocument,
    Operation,
    Replace,
)
from clients.storage.validation import encoded, incremented
from domain.errors import Conflict

SCHEMA = 1
TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS documents (
    container TEXT NOT NULL, partition TEXT NOT NULL, id TEXT NOT NULL,
    body BLOB NOT NULL, etag INTEGER NOT NULL, expires_at REAL, kind TEXT, status TEXT, at REAL,
    PRIMARY KEY (container, partition, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_by_age ON documents (container, kind, status, at) WHERE status IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_by_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS writes (last INTEGER NOT NULL);
INSERT INTO writes SELECT 0 WHERE NOT EXISTS (SELECT * FROM writes);
PRAGMA user_version = 1;
COMMIT;
"""

READ = """SELECT id, body, etag, expires_at FROM documents
WHERE container = :container AND partition = :partition AND id = :id AND (expires_at IS NULL OR expires_at > :now)"""
LIST = """SELECT id, body, etag FROM documents
WHERE container = :container AND partition = :partition AND id >= :first AND id < :end AND id <> :after
AND (expires_at IS NULL OR expires_at > :now) ORDER BY id LIMIT :limit"""
FIND = """SELECT id, body, etag, partition FROM documents
WHERE container = :container AND kind = :kind AND status = :status AND at < :before
AND (expires_at IS NULL OR expires_at > :now) ORDER BY at, partition, id LIMIT :limit"""
CREATE = """INSERT INTO documents
VALUES (:container, :partition, :id, :body, :next, :expires_at, :kind, :status, :at)
ON CONFLICT DO UPDATE SET body = :body, etag = :next, expires_at = :expires_at, kind = :kind, status = :status, at = :at
WHERE expires_at <= :now"""
REPLACE = """UPDATE documents
SET body = :body, etag = :next, expires_at = :expires_at, kind = :kind, status = :status, at = :at
WHERE container = :container AND partition = :partition AND id = :id AND etag = :etag
AND (expires_at IS NULL OR expires_at > :now)"""
DELETE = """DELETE FROM documents
WHERE container = :container AND partition = :partition AND id = :id AND (:etag IS NULL OR etag = :etag)"""
RESERVE = "UPDATE writes SET last = last + :count RETURNING last"
FORGET = """DELETE FROM documents WHERE (container, partition, id) IN
(SELECT container, partition, id FROM documents WHERE expires_at <= :now LIMIT :limit)"""

ETAG: Final = re.compile(r"[0-9]{1,18}")
"""The column has whole numbers of 64 bits."""

type Values = dict[str, Any]


def partition_values(key: DocumentKey, now: float) -> Values:
    return {"container": key.container.value, "partition": json.dumps(key.parts), "now": now}


def read(connection: sqlite3.Connection, values: Values) -> tuple[Document, float | None] | None:
    """Return the document and when it expires."""
    row = connection.execute(READ, values).fetchone()
    return (document(*row[:3]), row[3]) if row else None


def document(identifier: str, data: bytes, etag: int) -> Document:
    return Document(id=identifier, body=body_from(identifier, data), etag=str(etag))


def list_range(connection: sqlite3.Connection, values: Values) -> list[Document]:
    """Return documents by `prefix`, `after` and `limit`."""
    prefix, after = values["prefix"], values["after"]
    bounds = {"first": max(prefix, after), "end": end_of_prefix(prefix)}
    return [document(*row) for row in connection.execute(LIST, values | bounds)]


def end_of_prefix(prefix: str) -> str:
    """Return the first string that is greater than every id with this prefix; ids end before DEL."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\x7f"


def find(connection: sqlite3.Connection, container: Container, values: Values) -> list[FoundDocument]:
    """Return documents of all partitions by `kind`, `status`, `before` and `limit`."""
    return [
        FoundDocument(key=DocumentKey(container=container, parts=tuple(json.loads(partition))), document=document(*row))
        for *row, partition in connection.execute(FIND, values | {"container": container.value})
    ]


def write(connection: sqlite3.Connection, where: Values, operation: Operation, data: bytes) -> None:
    """Run one operation in an open transaction; raises Conflict and Exhausted. The document gets the etag `next`."""
    values = where | {"id": operation.id}
    match operation:
        case Create():
            done = put(connection, CREATE, values, operation, data)
        case Replace():
            done = put(connection, REPLACE, values | {"etag": etag_number(operation.etag)}, operation, data)
        case Delete():
            done = delete(connection, values | {"etag": etag_number(operation.etag)})
        case Add():
            done = add(connection, values, operation)
    if not done:
        raise Conflict(f"{operation.id!r} is not as expected", identifier=operation.id)


def etag_number(etag: str | None) -> int | None:
    """Return an etag as the column stores it; a malformed one matches no document."""
    if etag is None:
        return None
    return int(etag) if ETAG.fullmatch(etag) else -1


def put(
    connection: sqlite3.Connection, statement: str, values: Values, operation: Create | Replace, data: bytes
) -> bool:
    new = columns(operation.body) | {"body": data, "expires_at": operation.expires_at}
    return connection.execute(statement, values | new).rowcount == 1


def columns(body: Body) -> Values:
    """Return the fields that `find` uses; a field of another type than expected is not indexed."""
    return {
        "kind": text_or_none(body.get("kind")),
        "status": text_or_none(body.get("status")),
        "at": number_or_none(body.get("at")),
    }


def text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def number_or_none(value: object) -> float | None:
    """Return a number as the column stores it; None for what is no number, or is too large for it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def reserve_etags(connection: sqlite3.Connection, count: int) -> range:
    """Return `count` etags that no document has had."""
    last: int = connection.execute(RESERVE, {"count": count}).fetchone()[0]
    return range(last - count + 1, last + 1)


def delete(connection: sqlite3.Connection, values: Values) -> bool:
    return connection.execute(DELETE, values).rowcount == 1 or read(connection, values) is None


def add(connection: sqlite3.Connection, values: Values, operation: Add) -> bool:
    found = read(connection, values)
    if found is None:
        return False
    stored, expires_at = found
    change = Replace(id=stored.id, body=incremented(stored.body, operation), etag=stored.etag, expires_at=expires_at)
    write(connection, values, change, encoded(change.id, change.body))
    return True


def delete_expired(connection: sqlite3.Connection, now: float, limit: int) -> int:
    """Delete at most `limit` documents that have expired; return how many were deleted."""
    return connection.execute(FORGET, {"now": now, "limit": limit}).rowcount
