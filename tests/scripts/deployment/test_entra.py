"""Do the applications have what the app checks, and are they found by their own name?"""

from domain.identity.roles import AppRole
from scripts.deployment import entra
from tests.checks import every
from tests.scripts.deployment.fake_clouds import FakeClouds


def test_the_applications_have_what_the_app_checks_in_tokens() -> None:
    clouds = FakeClouds()
    entra.apply(clouds, "prod")
    api, federation = clouds.applications["prod-api"], clouds.applications["prod-federation"]
    assert api["api"]["requestedAccessTokenVersion"] == 2
    assert [scope["value"] for scope in api["api"]["oauth2PermissionScopes"]] == ["access_as_user"]
    roles: dict[str, list[str]] = {each["value"]: each["allowedMemberTypes"] for each in api["appRoles"]}
    assert {role.value for role in AppRole} == set(roles)
    assert every(members == ["User", "Application"] for members in roles.values())
    assert api["optionalClaims"]["accessToken"][0]["name"] == "idtyp"
    assert federation["api"]["requestedAccessTokenVersion"] == 1


def test_the_table_shows_what_is_present_and_what_is_missing() -> None:
    clouds = FakeClouds()
    assert every(line.endswith("missing") for line in entra.table(clouds, "prod"))
    entra.apply(clouds, "prod")
    clouds.applications["prod-api"]["appRoles"].pop()
    shown = [line.split() for line in entra.table(clouds, "prod")]
    assert [name for name, state in shown if state == "missing"] == ["Operations.WarmUp"]


def test_a_name_that_begins_alike_is_another_application() -> None:
    clouds = FakeClouds()
    entra.apply(clouds, "prod2")
    clouds.applications["prod-api-old"] = {"displayName": "prod-api-old", "id": "o", "appId": "a"}
    entra.remove(clouds, "prod")
    assert set(clouds.applications) == {"prod2-api", "prod2-federation", "prod-api-old"}
