"""Which applications does Ganglion need in Entra, and how are they created, shown and removed?"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scripts.deployment.commands import CommandRunner, answer, answers

GRAPH: Final = "https://graph.microsoft.com/v1.0/applications"
NAMESPACE: Final = uuid.UUID("6f9a3f0e-6f0f-4d55-9d43-6d6f2f8f5a11")
"""Ids of scopes and roles are computed from it, so that a second run changes nothing."""

SCOPE: Final = "access_as_user"
ROLES: Final[tuple[tuple[str, str], ...]] = (
    ("Turns.ReadWrite", "Start, read, cancel and delete turns"),
    ("Usage.Read", "Read the usage of the tenant"),
    ("Owners.Erase", "Erase everything of an owner"),
    ("Operations.Read", "Read fleet, turns and budgets of the tenant"),
    ("Tools.Accept", "Accept changed tools of MCP servers"),
    ("Limits.Write", "Change budgets and rate limits while the app runs"),
    ("Events.Send", "Send events to pipelines"),
    ("Operations.WarmUp", "Start a backend ahead of a turn"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRegistration:
    """An application as Entra has it: `id` of the object, `app_id` that tokens name."""

    name: str
    id: str
    app_id: str


def names(environment: str) -> tuple[str, str]:
    """Return the display names of both applications: the API, and the federation with other clouds."""
    return f"{environment}-api", f"{environment}-federation"


def find(run: CommandRunner, name: str) -> AppRegistration | None:
    """Return the application of this very name; Entra's filter also finds longer ones."""
    found = answers(run("az", "ad", "app", "list", "--display-name", name, "--output", "json"))
    return next((application_of(each) for each in found if each["displayName"] == name), None)


def application_of(document: dict[str, Any]) -> AppRegistration:
    return AppRegistration(name=document["displayName"], id=document["id"], app_id=document["appId"])


def ensure(run: CommandRunner, name: str, manifest: dict[str, Any]) -> AppRegistration:
    """Create the application and its service principal unless they exist, and give it what the manifest says."""
    found = find(run, name)
    if found is None:
        created = run("az", "ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg")
        found = application_of(answer(created))
    body = json.dumps({"identifierUris": [f"api://{found.app_id}"], **manifest})
    run("az", "rest", "--method", "PATCH", "--url", f"{GRAPH}/{found.id}", "--body", body)
    if not run("az", "ad", "sp", "show", "--id", found.app_id, succeeds=False):
        run("az", "ad", "sp", "create", "--id", found.app_id)
    return found


def api_manifest(name: str) -> dict[str, Any]:
    """Return what the API needs: tokens of version 2, one scope for people, roles, and the claim that tells apps."""
    scope = {
        "id": computed_id(name, SCOPE),
        "value": SCOPE,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Call Ganglion",
        "adminConsentDescription": "Call Ganglion in the name of the user who is signed in.",
    }
    return {
        "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [scope]},
        "appRoles": [role(name, value, description) for value, description in ROLES],
        "optionalClaims": {"accessToken": [{"name": "idtyp", "essential": False}]},
    }


def federation_manifest() -> dict[str, Any]:
    """Return what the federation needs: tokens of version 1, whose issuer Google and AWS are told to trust."""
    return {"api": {"requestedAccessTokenVersion": 1}}


def role(name: str, value: str, description: str) -> dict[str, Any]:
    return {
        "id": computed_id(name, value),
        "value": value,
        "displayName": value,
        "description": description,
        "allowedMemberTypes": ["User", "Application"],
        "isEnabled": True,
    }


def computed_id(name: str, value: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{name}/{value}"))


def apply(run: CommandRunner, environment: str) -> tuple[AppRegistration, AppRegistration]:
    """Create or correct both applications; returns the API and the federation."""
    api, federation = names(environment)
    return ensure(run, api, api_manifest(api)), ensure(run, federation, federation_manifest())


def remove(run: CommandRunner, environment: str) -> None:
    """Remove both applications where they exist; Entra keeps them restorable for 30 days."""
    for name in names(environment):
        if found := find(run, name):
            run("az", "ad", "app", "delete", "--id", found.app_id)


def table(run: CommandRunner, environment: str) -> Iterator[str]:
    """Yield a line for each application, scope and role, and whether Entra has it."""
    api, federation = names(environment)
    for name, values in ((api, [SCOPE, *(value for value, _ in ROLES)]), (federation, [])):
        found = find(run, name)
        yield f"{name:<32} {found.app_id if found else 'missing'}"
        present: Sequence[str] = existing(run, found) if found else ()
        yield from (f"  {value:<30} {'present' if value in present else 'missing'}" for value in values)


def existing(run: CommandRunner, application: AppRegistration) -> Sequence[str]:
    document = answer(run("az", "ad", "app", "show", "--id", application.app_id, "--output", "json"))
    scopes: list[dict[str, Any]] = document.get("api", {}).get("oauth2PermissionScopes", [])
    roles: list[dict[str, Any]] = document.get("appRoles", [])
    return [each["value"] for each in (*scopes, *roles)]
