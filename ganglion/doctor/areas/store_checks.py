"""Can the application read and write its store, and does the task hub fit?"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from clients.storage.cosmos.containers import CONSISTENCIES, DEFINITIONS
from clients.storage.cosmos.settings import account_from
from clients.storage.port import Container, Create, Delete, DocumentKey
from domain.config.environment import PREFIX
from domain.errors import ConfigurationError, GanglionError
from ganglion.doctor.areas.backend_checks import connects, endpoint, resolves
from ganglion.doctor.areas.file_checks import MANAGED
from ganglion.doctor.areas.settings_checks import problems_of
from ganglion.doctor.findings import Fault, error
from ganglion.doctor.outside import UnreachableError
from ganglion.doctor.subject import NotRunError, Subject

PROBE: Final = DocumentKey(container=Container.FLEET, parts=("doctor",))
KEPT_S: Final = 60.0
HUB_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")
"""https://learn.microsoft.com/azure/azure-functions/durable-functions/durable-functions-task-hubs"""

PART: Final = re.compile(r"(\w+)=([^;]*)")
"""One part of a connection string."""

SETUP: Final = "python -m clients.storage.cosmos.setup"
GRANT: Final = (
    "az cosmosdb sql role assignment create --account-name ACCOUNT --resource-group GROUP --scope / "
    "--role-definition-name 'Cosmos DB Built-in Data Contributor' --principal-id PRINCIPAL"
)
HUB_SETTING: Final = "AzureFunctionsJobHost__extensions__durableTask__hubName"
SCHEDULER: Final = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"


def cosmos_url(subject: Subject) -> str:
    if subject.settings.store != "cosmos":
        raise NotRunError("the store is not Cosmos DB")
    try:
        return account_from(subject.variables).url
    except ConfigurationError:
        raise NotRunError("correct the errors of store.account first") from None


def account(subject: Subject) -> Iterator[Fault]:
    if subject.settings.store != "cosmos":
        raise NotRunError("the store is not Cosmos DB")
    for problem in problems_of(lambda: account_from(subject.variables)):
        name = problem.partition(":")[0]
        fix = subject.set_command(name, "https://ACCOUNT.documents.azure.com")
        yield error(problem, fix if name.endswith("_URL") else subject.remove_command(name))


async def reach(subject: Subject) -> AsyncIterator[Fault]:
    host, port = endpoint(cosmos_url(subject))
    problem = await resolves(subject, host) or await connects(subject, host, port)
    if problem:
        yield error(f"GANGLION_COSMOS_URL: {host}:{port} cannot be reached: {problem}", f"nslookup {host}")


async def containers(subject: Subject) -> AsyncIterator[Fault]:
    """Compare the containers with their definitions. A partition key cannot be changed afterwards."""
    found = await found_containers(subject)
    for wanted in DEFINITIONS:
        name = wanted.container.value
        properties = found.get(name)
        if properties is None:
            yield error(f"the container {name} does not exist", SETUP)
        elif list(properties.get("partitionKey", {}).get("paths", ())) != list(wanted.paths):
            yield error(f"the container {name} has another partition key than {', '.join(wanted.paths)}", SETUP)
        elif properties.get("indexingPolicy", {}).get("includedPaths") != wanted.indexing["includedPaths"]:
            yield error(f"the container {name} indexes other paths: each write costs more, or the sweeper less", SETUP)


async def found_containers(subject: Subject) -> Mapping[str, Mapping[str, Any] | None]:
    await needs_reachable_store(subject)
    try:
        return await subject.outside.containers(subject.settings)
    except UnreachableError as problem:
        raise NotRunError(f"the account rejects the question: see store.access ({problem})") from None


async def needs_reachable_store(subject: Subject) -> None:
    cosmos_url(subject)
    async for _ in reach(subject):
        raise NotRunError("the account cannot be reached: see store.reach")


async def access(subject: Subject) -> AsyncIterator[Fault]:
    """Write a document and delete it, as the application does with its own identity."""
    if subject.settings.store == "cosmos":
        await needs_usable_account(subject)
    store = subject.outside.store(subject.settings)
    identifier, body = f"doctor_{subject.target.now:.6f}", {"kind": "doctor", "at": subject.target.now}
    try:
        await store.commit(PROBE, [Create(id=identifier, body=body, expires_at=subject.target.now + KEPT_S)])
        await store.commit(PROBE, [Delete(id=identifier)])
    except GanglionError as problem:
        fix = GRANT if subject.settings.store == "cosmos" else f"ls -ld {subject.settings.data}"
        yield error(f"the store cannot be written: {problem}", fix)
    finally:
        await store.close()


async def needs_usable_account(subject: Subject) -> None:
    """Leave to the other checks what they report: the containers and the consistency, where these can be read."""
    await needs_reachable_store(subject)
    with suppress(UnreachableError):
        if await subject.outside.consistency(subject.settings) not in CONSISTENCIES:
            raise NotRunError("correct the error of store.consistency first")
        if None in (await subject.outside.containers(subject.settings)).values():
            raise NotRunError("correct the error of store.containers first")


async def consistency(subject: Subject) -> AsyncIterator[Fault]:
    """A writer whose slot was rejected reads the slot of the other writer, and must see it."""
    await needs_reachable_store(subject)
    try:
        level = await subject.outside.consistency(subject.settings)
    except UnreachableError as problem:
        raise NotRunError(f"the account rejects the question: see store.access ({problem})") from None
    if level not in CONSISTENCIES:
        fix = "az cosmosdb update --name ACCOUNT --resource-group GROUP --default-consistency-level Strong"
        yield error(f"the account's consistency is {level}; the log needs {' or '.join(CONSISTENCIES)}", fix)


def hub_name(subject: Subject) -> Iterator[Fault]:
    name = subject.host_setting("extensions", "durableTask", "hubName")
    if not (isinstance(name, str) and HUB_NAME.fullmatch(name)):
        text = f"host.json: extensions.durableTask.hubName is {name!r}: expected 3 to 45 letters and digits"
        yield error(text, "git checkout host.json")


def hub_storage(subject: Subject) -> Iterator[Fault]:
    names = ("AzureWebJobsStorage", "AzureWebJobsStorage__accountName", "AzureWebJobsStorage__queueServiceUri")
    if not any(subject.variables.get(name) for name in names):
        yield error("AzureWebJobsStorage is not set: the host has no storage", subject.set_command(names[1], "ACCOUNT"))


def hub_keys(subject: Subject) -> Iterator[Fault]:
    subject.needs_azure()
    if "AccountKey=" in subject.variables.get("AzureWebJobsStorage", ""):
        text = "AzureWebJobsStorage contains an account key: the app's identity replaces it"
        yield error(text, subject.set_command("AzureWebJobsStorage__accountName", "ACCOUNT"))


async def shared_hub(subject: Subject) -> AsyncIterator[Fault]:
    """Two apps on one hub take each other's steps: a turn runs with the code and the settings of either."""
    name = str(subject.host_setting("extensions", "durableTask", "hubName"))
    own = hub_of(subject.variables, name)
    listed: list[dict[str, Any]] = await subject.azure("functionapp", "list") or []
    others = [each for each in listed if each["name"] != subject.target.app]
    settings = await asyncio.gather(*(settings_of(subject, each) for each in others))
    for each, variables in zip(others, settings, strict=True):
        is_ours = any(setting.startswith(PREFIX) for setting in variables)
        if is_ours and hub_of(variables, variables.get(HUB_SETTING, name)) == own:
            text = f"the app {each['name']} uses the same task hub ({', '.join(own)}): each takes steps of the other"
            yield error(text, subject.set_command(HUB_SETTING, "ANOTHER"))


async def settings_of(subject: Subject, app: Mapping[str, Any]) -> Mapping[str, str]:
    place = ("--name", str(app["name"]), "--resource-group", str(app["resourceGroup"]))
    found: list[dict[str, Any]] = await subject.azure("functionapp", "config", "appsettings", "list", *place) or []
    return {str(each["name"]): str(each["value"] or "") for each in found}


def hub_of(variables: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return what tells task hubs apart: where the hub is, and its name."""
    parts: dict[str, str] = dict(PART.findall(variables.get(SCHEDULER, "")))
    if "Endpoint" in parts:
        return (parts["Endpoint"].rstrip("/"), parts.get("TaskHub", name))
    storage = ("AzureWebJobsStorage__accountName", "AzureWebJobsStorage__queueServiceUri", "AzureWebJobsStorage")
    return (next((variables[each] for each in storage if variables.get(each)), ""), name)


def scheduler(subject: Subject) -> Iterator[Fault]:
    path = ("extensions", "durableTask", "storageProvider")
    if str(subject.host_setting(*path, "type")).casefold() != MANAGED:
        raise NotRunError("the task hub is not in the Durable Task Scheduler")
    name = str(subject.host_setting(*path, "connectionStringName") or SCHEDULER)
    if not subject.variables.get(name):
        text = f"{name} is not set: the Durable Task Scheduler cannot be reached"
        yield error(text, subject.set_command(name, "'Endpoint=https://…;Authentication=ManagedIdentity'"))
