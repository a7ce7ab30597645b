"""Which requests does the ledger of a store hold for a tenant, and where is a run stored for the console?"""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benches.economics.inputs import MissingInputError, Request
from clients.clock import SystemClock
from clients.storage.damage import readable
from clients.storage.keys import money_key
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentStore
from composition.production import document_store
from domain.errors import ConfigurationError
from domain.money.ledger_records import AttemptRecord
from settings import read_settings
from standins.cluster.local_settings import SettingsFileError, read_document
from state.money.economics_runs import EconomicsRuns

ATTEMPTS = "attempt_"


def variables_of(file: Path | None) -> Mapping[str, str]:
    """Return the app's settings: those of the file, and over them those of the environment."""
    try:
        values: Mapping[str, Any] = read_document(file)["Values"] if file else {}
    except (OSError, KeyError, SettingsFileError) as problem:
        raise MissingInputError(f"--settings {file}: {problem}") from None
    return {**{name: str(value) for name, value in values.items()}, **os.environ}


@asynccontextmanager
async def opened_store(variables: Mapping[str, str]) -> AsyncGenerator[DocumentStore]:
    try:
        store = document_store(read_settings(variables), SystemClock())
    except ConfigurationError as error:
        raise MissingInputError("; ".join(error.problems)) from None
    try:
        yield store
    finally:
        await store.close()


async def requests_of_ledger(variables: Mapping[str, str], tenant: str) -> Sequence[Request]:
    """Return a request for each attempt of a tenant that counted its tokens. Raises MissingInputError."""
    async with opened_store(variables) as store:
        found = await list_all(store, money_key(tenant), prefix=ATTEMPTS)
    requests = [request_of(each) for each in readable(found, attempt_of) if is_request(each)]
    if not requests:
        raise MissingInputError(f"ledger: no attempt of the tenant {tenant} has counted its tokens")
    return sorted(requests)


def attempt_of(document: Document) -> AttemptRecord:
    return document.read_as(AttemptRecord.from_document)


def is_request(attempt: AttemptRecord) -> bool:
    return attempt.number > 0 and attempt.progress.usage is not None


def request_of(attempt: AttemptRecord) -> Request:
    usage = attempt.progress.usage
    return Request(attempt.started_at, usage.input_tokens if usage else 0, usage.output_tokens if usage else 0)


async def publish_run(variables: Mapping[str, str], tenant: str, report: Mapping[str, Any]) -> None:
    """Store a run, over the one before."""
    async with opened_store(variables) as store:
        await EconomicsRuns(store, SystemClock()).publish(tenant, report)
