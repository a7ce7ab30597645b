"""Does each backend get what it wants, and is everything that is missing named before the first call?"""

import json
import os
import subprocess
import sys
from copy import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.backends.credentials import Hop, HttpCall, NoCredentials, hop_denied
from clients.backends.port import BackendError
from clients.clock import SystemClock
from clients.identity.backend_credentials import BackendCredentials, credential_problems, warm_up
from domain.fleet.catalog import Auth, AuthKind, Backend, Fleet
from domain.fleet.failure_classes import FailureClass, diagnose
from domain.fleet.retry_policy import Failover, RetryLater, retry_decision
from domain.identity.federation import AwsFederation, Federation, provider_name, service_account_name
from standins.paths import ROOT
from tests.clients.backends.model_server import DONE, ModelServer, all_pieces, backend_at, call, frame, serving
from tests.fakes.backends import http_backend

WHOLE = Federation(
    provider="projects/1/locations/global/workloadIdentityPools/pool/providers/entra",
    scope="api://app/.default",
    service_account="caller@project.iam.gserviceaccount.com",
)
STATIC = Auth(kind=AuthKind.STATIC_BEARER, setting="TOKEN")
CALL = HttpCall(method="GET", url="https://gpu.example/v1/models")
GOOGLE = Auth(kind=AuthKind.GOOGLE_ID_TOKEN, audience="https://gpu.example")


def backend(auth: Auth, url: str = "https://gpu.example/v1") -> Backend:
    return replace(backend_at(url), auth=auth)


def fleet(auth: Auth) -> Fleet:
    one = backend(auth)
    return Fleet(models={}, backends={one.name: one})


def credentials(**variables: str) -> BackendCredentials:
    return BackendCredentials(federation=WHOLE, aws=AwsFederation(), variables=variables, clock=SystemClock())


async def test_a_backend_without_credentials_gets_none() -> None:
    assert await credentials().header(backend(Auth()), CALL) == {}
    assert await NoCredentials().header(backend(STATIC), CALL) == {}


async def test_a_static_token_comes_from_its_variable() -> None:
    assert await credentials(TOKEN="abc").header(backend(STATIC), CALL) == {"authorization": "Bearer abc"}


@pytest.mark.parametrize("kind", [AuthKind.AWS_KEY, AuthKind.AWS_SIGV4])
def test_a_backend_of_aws_needs_a_role_and_a_scope(kind: AuthKind) -> None:
    one = fleet(Auth(kind=kind, service="bedrock", region="us-east-1"))
    assert credential_problems(one, Federation(), AwsFederation(), {}) == (
        f"backends.main.auth: {kind} needs GANGLION_AWS_ROLE",
        f"backends.main.auth: {kind} needs GANGLION_AWS_SUBJECT_SCOPE",
    )
    whole = AwsFederation(role="arn:aws:iam::123456789012:role/ganglion", scope="api://app/.default")
    assert credential_problems(one, Federation(), whole, {}) == ()


@pytest.mark.slow
def test_importing_the_app_loads_no_botocore() -> None:
    code = "import sys, function_app; print([name for name in sys.modules if name.startswith('boto')])"
    environment = {**os.environ, "GANGLION_TOKEN_AUDIENCE": "a", "GANGLION_TOKEN_TENANTS": "t"}
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip().endswith("[]")


PROBLEMS: dict[str, tuple[Auth, Federation, dict[str, str], list[str]]] = {
    "none": (Auth(), Federation(), {}, []),
    "static": (STATIC, Federation(), {"TOKEN": "abc"}, []),
    "static, not set": (STATIC, Federation(), {}, ["TOKEN contains no token"]),
    "static, with a line end": (STATIC, Federation(), {"TOKEN": "abc\n"}, ["TOKEN contains no token"]),
    "entra": (Auth(kind=AuthKind.ENTRA, scope="s"), Federation(), {}, []),
    "google": (GOOGLE, WHOLE, {}, []),
    "google, an account of its own": (
        replace(GOOGLE, service_account="own@project.iam.gserviceaccount.com"),
        replace(WHOLE, service_account=None),
        {},
        [],
    ),
    "google, nothing set": (
        GOOGLE,
        Federation(),
        {},
        ["GANGLION_GOOGLE_PROVIDER", "GANGLION_GOOGLE_SUBJECT_SCOPE", "GANGLION_GOOGLE_SERVICE_ACCOUNT"],
    ),
}


@pytest.mark.parametrize(("auth", "federation", "variables", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_everything_that_is_missing_is_named(
    auth: Auth, federation: Federation, variables: dict[str, str], said: list[str]
) -> None:
    problems = credential_problems(fleet(auth), federation, AwsFederation(), variables)
    assert len(problems) == len(said)
    assert all(text in problem for text, problem in zip(said, problems, strict=True))  # may be empty: all is configured


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        (AuthKind.NONE, None),
        (AuthKind.STATIC_BEARER, None),
        (AuthKind.ENTRA, "clients.identity.entra"),
        (AuthKind.GOOGLE_ID_TOKEN, "clients.identity.google"),
        (AuthKind.GOOGLE_ACCESS_TOKEN, "clients.identity.google"),
        (AuthKind.AWS_KEY, "clients.identity.aws"),
        (AuthKind.AWS_SIGV4, "clients.identity.aws"),
    ],
)
def test_only_the_credential_libraries_of_the_fleet_are_imported_during_the_start(
    kind: AuthKind, module: str | None
) -> None:
    thread = warm_up(fleet(Auth(kind=kind)))
    assert (thread is None) == (module is None)
    if thread:
        thread.join()
    assert module is None or module in sys.modules


KEYS: dict[str, tuple[Any, bool]] = {
    "a service account's key": ({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}, True),
    "a user's": ({"type": "authorized_user", "refresh_token": "x"}, True),
    "a federation's configuration": ({"type": "external_account", "credential_source": {"url": "http://x"}}, False),
}


@pytest.mark.parametrize(("content", "refused"), KEYS.values(), ids=KEYS)
def test_a_key_file_is_refused(tmp_path: Path, content: Any, refused: bool) -> None:  # noqa: FBT001 - a table
    path = tmp_path / "key.json"
    path.write_text(json.dumps(content))
    problems = credential_problems(
        fleet(Auth()), Federation(), AwsFederation(), {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    )
    assert bool(problems) is refused


def test_a_key_file_that_is_not_there_is_no_key() -> None:
    assert (
        credential_problems(
            fleet(Auth()), Federation(), AwsFederation(), {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}
        )
        == ()
    )


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (provider_name, "projects/p/locations/global/workloadIdentityPools/pool/providers/entra"),
        (provider_name, "projects/1/locations/global/workloadIdentityPools/pool/providers/entra/../x"),
        (provider_name, ""),
        (service_account_name, "caller@example.com"),
        (service_account_name, "a/b@project.iam.gserviceaccount.com"),
        (service_account_name, "-:generateIdToken?x=@project.iam.gserviceaccount.com"),
    ],
)
def test_a_name_of_googles_is_read_strictly(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read(text)


class Recording:
    """Counts what the adapter of a backend asks for."""

    def __init__(self, failure: BackendError | None = None) -> None:
        self.failure = failure
        self.rejections = 0

    async def header(self, backend: Backend, call: HttpCall) -> dict[str, str]:
        if self.failure:
            raise self.failure
        return {"authorization": f"Bearer for {backend.name}"}

    def rejected(self, backend: Backend) -> None:
        self.rejections += 1


async def asked(server: ModelServer, credentials: Recording) -> None:
    one = backend_at(server.url)
    async with httpx.AsyncClient() as http:
        await all_pieces(http_backend(one, http, silence_s=5, credentials=credentials), call())


async def test_a_call_carries_its_credential() -> None:
    recording = Recording()
    async with serving(ModelServer([frame("one", reason="stop"), DONE])) as server:
        await asked(server, recording)
    assert server.request_headers[0]["Authorization"].startswith("Bearer for ")
    assert recording.rejections == 0


@pytest.mark.parametrize(("status", "rejections"), [(401, 1), (403, 0), (429, 0)])
async def test_a_backend_that_does_not_know_us_makes_us_forget_the_token(status: int, rejections: int) -> None:
    recording = Recording()
    async with serving(ModelServer([b"no"], status=status, headers={"content-type": "text/html"})) as server:
        with pytest.raises(BackendError):
            await asked(server, recording)
    assert recording.rejections == rejections


async def test_without_a_credential_nothing_is_sent() -> None:
    async with serving(ModelServer([DONE])) as server:
        with pytest.raises(BackendError) as caught:
            await asked(server, Recording(hop_denied(Hop.IAM, 403)))
        assert server.requests == []
    assert "roles/iam.workloadIdentityUser" in caught.value.failure.body


@pytest.mark.parametrize(("status", "failure_class"), [(403, FailureClass.BROKEN), (503, FailureClass.INDETERMINATE)])
def test_the_retry_policy_decides_the_next_step_with_a_reason(status: int, failure_class: FailureClass) -> None:
    diagnosis = diagnose(hop_denied(Hop.STS, status).failure, ())
    assert diagnosis.failure_class is failure_class
    assert diagnosis.reason.startswith("Google STS ")
    following = retry_decision(diagnosis, attempts=1, elapsed_s=0, deadline_s=600, has_alternative=True, random=0.5)
    assert isinstance(following, Failover if failure_class is FailureClass.BROKEN else RetryLater)
