"""Does each enabled backend answer, and does the application itself?"""

import json
from collections.abc import AsyncIterator, Sequence
from copy import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from clients.backends.port import BackendError
from clients.instances.cloud_run import control_auth, control_of
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureClass, FailureKind, diagnose
from ganglion.doctor.areas.identity_checks import FEDERATED, authentication_failure
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.outside import Answer, UnreachableError
from ganglion.doctor.subject import NotRunError, Subject

LIST = "models"
"""The path of a probe that lists the models; many front ends have no such path."""

PORTS = {"http": 80, "https": 443}


def endpoint(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)


def enabled(subject: Subject) -> Sequence[Backend]:
    if not subject.backends:
        raise NotRunError("no backend is enabled")
    return subject.backends


async def resolves(subject: Subject, host: str) -> str:
    """Return why a host name has no address; "" where it has one."""
    try:
        return "" if await subject.outside.resolve(host) else "no address"
    except UnreachableError as problem:
        return str(problem)


async def connects(subject: Subject, host: str, port: int) -> str:
    """Return why no connection can be opened; "" where one can be, or where the name has no address."""
    if await resolves(subject, host):
        return ""
    try:
        await subject.outside.connect(host, port)
    except UnreachableError as problem:
        return str(problem)
    return ""


async def resolve(subject: Subject) -> AsyncIterator[Fault]:
    for backend in enabled(subject):
        host, _ = endpoint(backend.url)
        if problem := await resolves(subject, host):
            yield error(f"backends.{backend.name}.url: {host} does not resolve: {problem}", f"nslookup {host}")


async def reach(subject: Subject) -> AsyncIterator[Fault]:
    """Open a connection; the front end of a scale-to-zero service accepts it without a GPU."""
    for backend in enabled(subject):
        host, port = endpoint(backend.url)
        if problem := await connects(subject, host, port):
            yield error(
                f"backends.{backend.name}.url: {host}:{port} does not answer: {problem}", f"nc -vz {host} {port}"
            )


async def counts(subject: Subject) -> AsyncIterator[Fault]:
    """Read each service whose instances the product counts, as the product authenticates there. It changes nothing."""
    counted = [each for each in enabled(subject) if each.instances]
    if not counted:
        raise NotRunError('no backend has scaling = "count"')
    for backend in counted:
        control = control_of(backend)
        acting, url = replace(backend, auth=control_auth(backend)), f"{control.url}/v2/{control.service}"
        try:
            credentials = await subject.outside.credentials(subject.settings, acting, url)
            answer = await subject.outside.get(url, credentials)
        except (UnreachableError, BackendError) as problem:
            answer = Answer(status=0, body=str(problem).encode())
        if answer.status != HTTPStatus.OK:
            told = answer.status or answer.body.decode(errors="replace")
            text = f"backends.{backend.name}.instances.service: GET {url} answers {told}"
            yield error(text, f"gcloud run services describe {control.service.rpartition('/')[2]}")
        elif (running := instance_count(answer)) > backend.max_instances:
            text = (
                f"backends.{backend.name}.max_instances: {running} instances run, {backend.max_instances} are counted"
            )
            yield warning(text, f"gcloud run services update {control.service.rpartition('/')[2]} --scaling=0")


def instance_count(answer: Answer) -> int:
    """Return how many instances a service is told to run; 0 where it scales by itself."""
    try:
        count = json.loads(answer.body)["scaling"]["manualInstanceCount"]
    except (ValueError, KeyError, TypeError):
        return 0
    return count if type(count) is int else 0


def listable(subject: Subject) -> Sequence[Backend]:
    """Return the backends that can be asked for their models, without starting a GPU unless that is allowed."""
    speaking = [each for each in enabled(subject) if each.probe.path == LIST]
    chosen = [each for each in speaking if subject.target.starts_gpus or not each.cold_start.scales_to_zero]
    if not chosen:
        raise NotRunError("it may start a GPU; allow it with --start-gpus")
    return chosen


async def listing(subject: Subject, backend: Backend) -> Answer | None:
    """Return the answer to the list of models; None where another check reports why there is none."""
    host, port = endpoint(backend.url)
    if await resolves(subject, host) or await connects(subject, host, port):
        return None
    if backend.auth.kind in FEDERATED and await authentication_failure(subject, backend):
        return None
    url = f"{backend.url}/models"
    try:
        credentials = await subject.outside.credentials(subject.settings, backend, url)
        return await subject.outside.get(url, {**backend.headers, **credentials})
    except (UnreachableError, BackendError) as problem:
        return Answer(status=0, body=str(problem).encode())


async def authenticate(subject: Subject) -> AsyncIterator[Fault]:
    for backend in listable(subject):
        answer = await listing(subject, backend)
        if answer and answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            text = f"backends.{backend.name}.auth: the backend rejects the credentials with status {answer.status}"
            setting = backend.auth.setting
            yield error(text, subject.set_command(setting, "TOKEN") if setting else "${EDITOR:-vi} fleet.toml")


async def models(subject: Subject) -> AsyncIterator[Fault]:
    for backend in listable(subject):
        answer = await listing(subject, backend)
        if answer is None or answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            continue
        if is_starting(subject, backend, answer):
            continue
        names = model_names(answer)
        if names is None:
            text = (
                f"backends.{backend.name}.url: GET {backend.url}/models answers {answer.status or answer.body.decode()}"
            )
            yield error(text, f"curl -i {backend.url}/models")
        elif names and backend.served_model not in names:
            text = (
                f"backends.{backend.name}.served_model: the backend does not list {backend.served_model!r}, "
                f"but {', '.join(names[:5])}"
            )
            yield warning(text, f"curl {backend.url}/models")


def is_starting(subject: Subject, backend: Backend, answer: Answer) -> bool:
    """Tell whether the answer says that the backend is starting, which its probe reports."""
    text = answer.body[:BODY_CHARACTERS].decode(errors="replace")
    failure = Failure(kind=FailureKind.STATUS, status=answer.status, headers=answer.headers, body=text)
    found = diagnose(failure, backend.signatures, now=subject.target.now)
    return answer.status != HTTPStatus.OK and found.failure_class is FailureClass.COLD


def model_names(answer: Answer) -> list[str] | None:
    """Return the names in a list of models; None for any other answer."""
    try:
        body: Any = json.loads(answer.body)
        return [str(each["id"]) for each in body["data"]] if answer.status == HTTPStatus.OK else None
    except (ValueError, KeyError, TypeError):
        return None


def address(subject: Subject) -> str:
    if not subject.target.address:
        raise NotRunError("no application runs here; use --app NAME, or start one with `make run`")
    return subject.target.address


async def app_alive(subject: Subject) -> AsyncIterator[Fault]:
    url = f"{address(subject)}/healthz"
    if problem := await app_problem(subject, url):
        yield error(problem, f"curl -i {url}")


async def app_problem(subject: Subject, url: str) -> str:
    try:
        answer = await subject.outside.get(url)
    except UnreachableError as problem:
        return f"{url} does not answer: {problem}"
    return "" if answer.status == HTTPStatus.OK else f"{url} answers {answer.status}"


async def app_ready(subject: Subject) -> AsyncIterator[Fault]:
    origin = address(subject)
    if await app_problem(subject, f"{origin}/healthz"):
        raise NotRunError("the application is not alive: see app.alive")
    try:
        answer = await subject.outside.get(f"{origin}/readyz")
        body: Any = json.loads(answer.body)
    except (UnreachableError, ValueError) as problem:
        yield error(f"{origin}/readyz does not answer: {problem}", f"curl -i {origin}/readyz")
        return
    if "error" in body:
        yield error("the application runs with wrong settings and takes no turn", "az webapp log tail --name NAME")
    elif answer.status != HTTPStatus.OK:
        parts = ", ".join(f"{name} {state}" for name, state in body.get("parts", {}).items() if state != "ok")
        yield error(f"the application is not ready: {parts}", f"curl {origin}/readyz")


async def app_backends(subject: Subject) -> AsyncIterator[Fault]:
    """Compare the backends of the running application with those of the settings here."""
    origin = address(subject)
    try:
        answer = await subject.outside.get(f"{origin}/readyz")
        running = set(json.loads(answer.body)["backends"])
    except (UnreachableError, ValueError, KeyError, TypeError):
        raise NotRunError("the application does not list its backends: see app.ready") from None
    here = {each.name for each in subject.backends}
    for name in sorted(here ^ running):
        place = "here but not in the running application" if name in here else "in the running application but not here"
        yield warning(f"backend {name} is enabled {place}", "make package, then deploy it")
