"""How does a test call the stand-in for Entra and Google, and run the real libraries against it?"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from azure.identity import ManagedIdentityCredential
from google.auth import identity_pool, impersonated_credentials
from google.auth.transport.requests import Request
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from standins.issuer.entra_tokens import LocalIssuer, issuer_in
from standins.issuer.federation import PROVIDER, RESOURCE, SERVICE_ACCOUNT
from tests.standins.programs import started_program

GOOGLE_IAM = "https://iamcredentials.googleapis.com"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    base: str
    data: Path
    client: httpx.Client

    @property
    def issuer(self) -> LocalIssuer:
        return issuer_in(self.data)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def set(self, **conditions: Any) -> httpx.Response:
        return self.client.patch("/admin/conditions", json=conditions)

    def post(self, path: str, body: Any = None, bearer: str = "none") -> httpx.Response:
        return self.client.post(path, json=body, headers={"authorization": f"Bearer {bearer}"})

    def submit(self, path: str, **form: str) -> httpx.Response:
        return self.client.post(path, data=form)

    def counts(self) -> dict[str, int]:
        return self.get("/admin/calls").json()["counts"]

    def reset(self) -> None:
        self.client.delete("/admin/calls")
        self.set(**DEFAULTS)

    def keys(self, address: str) -> dict[str, jwt.PyJWK]:
        found = self.client.get(address).raise_for_status().json()
        return {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(found).keys}


DEFAULTS: dict[str, Any] = {}


@contextmanager
def running_issuer(data: Path) -> Generator[Provider]:
    with started_program("standins.issuer", "--data", str(data)) as (_, port), httpx.Client(verify=False) as client:  # noqa: S501 - plain http
        client.base_url = f"http://127.0.0.1:{port}"
        provider = Provider(base=f"http://127.0.0.1:{port}", data=data, client=client)
        DEFAULTS.update(provider.get("/admin/conditions").json())
        yield provider


class FromManagedIdentity(identity_pool.SubjectTokenSupplier):
    """Gives the Entra token of the app's managed identity."""

    def __init__(self) -> None:
        self.credential = ManagedIdentityCredential()

    def get_subject_token(self, context: object, request: object) -> str:
        return self.credential.get_token(f"{RESOURCE}/.default").token


def federated(provider: Provider) -> identity_pool.Credentials:
    return identity_pool.Credentials(
        audience=PROVIDER,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=f"{provider.base}/v1/token",
        subject_token_supplier=FromManagedIdentity(),
        scopes=SCOPES,
    )


def google_id_token(provider: Provider, audience: str) -> str:
    """Goes the whole way from the managed identity to a Google ID token, by the libraries alone."""
    source: Any = federated(provider)
    target = impersonated_credentials.Credentials(
        source_credentials=source, target_principal=SERVICE_ACCOUNT, target_scopes=SCOPES
    )
    credentials: Any = impersonated_credentials.IDTokenCredentials(target, target_audience=audience, include_email=True)
    credentials.refresh(Request())
    return str(credentials.token)


def google_access_token(provider: Provider) -> str:
    source: Any = federated(provider)
    target: Any = impersonated_credentials.Credentials(
        source_credentials=source, target_principal=SERVICE_ACCOUNT, target_scopes=SCOPES
    )
    target.refresh(Request())
    return str(target.token)


def redirect_google(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """Lets what is sent to Google's IAM arrive here, below the libraries, as another DNS would."""
    send: Any = HTTPAdapter.send

    def sent(self: Any, request: PreparedRequest, **options: Any) -> Response:
        request.url = str(request.url).replace(GOOGLE_IAM, base)
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", sent)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def error_of(problem: Exception) -> Any:
    """Reads the JSON that an error of google-auth carries, as text or in Python's own spelling."""
    text = str(problem.args[-1])
    try:
        return json.loads(text)
    except ValueError:
        return text
