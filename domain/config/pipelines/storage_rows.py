"""Which queues and containers do pipelines name?"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from domain.config.toml_table import VARIABLE, TomlTable, expanded
from domain.files.storage_places import container_name, storage_place
from domain.network_names import without_secrets
from domain.pipelines.queue_trigger import HOST_STORAGE, QueueTrigger

CONNECTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def read_queue(table: TomlTable, variables: Mapping[str, str]) -> QueueTrigger:
    """Return the queue that starts a pipeline, `%NAME%` in its name replaced from the variables."""
    name, connection = expanded(table.text("queue"), variables), table.text("connection", HOST_STORAGE)
    if name and not VARIABLE.search(name):
        check(table, "queue", name, container_name)
    if not CONNECTION.fullmatch(connection):
        table.report("connection", "how the names of settings begin, as AzureWebJobsStorage")
    return QueueTrigger(name=name, connection=connection)


def check_place(table: TomlTable, key: str, address: str) -> None:
    """Report an address of no queue and no container; one with a variable that is not set is left alone."""
    if not VARIABLE.search(address):
        check(table, key, address, storage_place)


def check(table: TomlTable, key: str, text: str, convert: Callable[[str], object]) -> None:
    try:
        convert(text)
    except ValueError as error:
        table.problems.append(f"{table.name_of(key)}: {error}, found {without_secrets(text)!r}")
