"""Does a deployment call the clouds in order, change nothing twice, and refuse by name before it creates?"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from scripts.deployment import entra
from scripts.deployment.commands import DeploymentError, run
from scripts.deployment.rehearsal import ENVIRONMENT, GUID, answer_of
from scripts.deployment.steps import before_provision, before_removal, check
from settings import ROOT
from tests.checks import every


class FakeClouds:
    """Records command lines; remembers the applications, so that a second run finds them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.applications: dict[str, dict[str, Any]] = {}

    def __call__(self, *command: str, succeeds: bool = True) -> str:
        self.calls.append(command)
        match command:
            case ("az", "ad", "app", "list", "--display-name", name, *_):
                return json.dumps([each for key, each in self.applications.items() if key.startswith(name)])
            case ("az", "ad", "app", "create", "--display-name", name, *_):
                number = str(len(self.applications))
                self.applications[name] = {"displayName": name, "id": f"object-{number}", "appId": f"app-{number}"}
                return json.dumps(self.applications[name])
            case ("az", "rest", "--method", "PATCH", "--url", url, "--body", body):
                self.found("id", url.rpartition("/")[2]).update(json.loads(body))
                return ""
            case ("az", "ad", "app", "show", "--id", app_id, *_):
                return json.dumps({"appRoles": []} | self.found("appId", app_id))
            case ("az", "ad", "app", "delete", "--id", app_id):
                del self.applications[self.found("appId", app_id)["displayName"]]
                return ""
            case _:
                return answer_of(command)

    def found(self, field: str, value: str) -> dict[str, Any]:
        return next(each for each in self.applications.values() if each[field] == value)

    def called(self, *start: str) -> list[tuple[str, ...]]:
        return [call for call in self.calls if call[: len(start)] == start]


def programs(calls: Sequence[tuple[str, ...]]) -> list[str]:
    return [call[0] for call in calls]


def test_one_pass_creates_identity_applications_and_google_before_azd_provisions() -> None:
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    order = [programs(clouds.calls).index(program) for program in ("az", "gcloud", "terraform", "azd")]
    assert order == sorted(order)
    (applied,) = clouds.called("terraform", "-chdir=infra/google", "apply")
    assert f"-var=azure_identity_object_id={GUID}" in applied
    assert "-var=federation_audience=api://app-1" in applied
    settings = {call[3]: call[4] for call in clouds.called("azd", "env", "set")}
    assert settings["GANGLION_TOKEN_AUDIENCE"] == "app-0"
    assert settings["GANGLION_GOOGLE_SUBJECT_SCOPE"] == "api://app-1/.default"
    assert (settings["GANGLION_CLOUD_RUN_L4_URL"], settings["GANGLION_GOOGLE_PROVIDER"]) == ("URL", "PROVIDER")


def test_azd_passes_every_setting_on_to_the_bicep_file() -> None:
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    given = (ROOT / "infra" / "azure" / "main.parameters.json").read_text()
    names = set(re.findall(r"\$\{(\w+)", given))
    assert {call[3] for call in clouds.called("azd", "env", "set")} - {"AZURE_RESOURCE_GROUP"} <= names
    declared = set(re.findall(r"^param (\w+) ", (ROOT / "infra" / "azure" / "main.bicep").read_text(), re.MULTILINE))
    assert set(json.loads(given)["parameters"]) <= declared


def test_a_second_run_creates_no_application_again_and_changes_no_id() -> None:
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    first = json.dumps(clouds.applications, sort_keys=True)
    before_provision(clouds, ENVIRONMENT)
    assert len(clouds.called("az", "ad", "app", "create")) == 2
    assert json.dumps(clouds.applications, sort_keys=True) == first


def test_the_applications_have_what_the_app_checks_in_tokens() -> None:
    clouds = FakeClouds()
    entra.apply(clouds, "prod")
    api, federation = clouds.applications["prod-api"], clouds.applications["prod-federation"]
    assert api["api"]["requestedAccessTokenVersion"] == 2
    assert [scope["value"] for scope in api["api"]["oauth2PermissionScopes"]] == ["access_as_user"]
    roles: dict[str, list[str]] = {each["value"]: each["allowedMemberTypes"] for each in api["appRoles"]}
    documented = set(
        re.findall(r"`((?:Turns|Usage|Owners|Operations)\.\w+)`", (ROOT / "docs" / "security.md").read_text())
    )
    assert documented <= set(roles)
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


def test_removal_removes_google_and_the_applications() -> None:
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    before_removal(clouds, {**ENVIRONMENT, "GANGLION_GOOGLE_SUBJECT_SCOPE": "api://app-1/.default"})
    (destroyed,) = clouds.called("terraform", "-chdir=infra/google", "destroy")
    assert "-var=federation_audience=api://app-1" in destroyed
    assert clouds.applications == {}


def test_a_deployment_without_google_calls_neither_gcloud_nor_terraform() -> None:
    clouds = FakeClouds()
    before_provision(clouds, {**ENVIRONMENT, "GOOGLE_PROJECT": "none"})
    before_removal(clouds, {**ENVIRONMENT, "GOOGLE_PROJECT": "none"})
    assert set(programs(clouds.calls)) == {"az", "azd"}


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"AZURE_ENV_NAME": "Ganglion"}, "'Ganglion'; use 3 to 11 lower-case letters and digits"),
        ({"AZURE_LOCATION": "moonbase"}, "AZURE_LOCATION 'moonbase' has no Flex Consumption"),
        ({"GOOGLE_REGION": "us-west1"}, "GOOGLE_REGION 'us-west1' has no L4 GPUs"),
        ({"GOOGLE_WEIGHTS": "gs://bucket"}, "GOOGLE_WEIGHTS must be gs://BUCKET/FOLDER"),
    ],
)
def test_a_wrong_value_is_refused_by_name_before_anything_is_created(given: dict[str, str], refusal: str) -> None:
    clouds = FakeClouds()
    with pytest.raises(DeploymentError, match=re.escape(refusal)):
        before_provision(clouds, {**ENVIRONMENT, **given})
    assert not clouds.called("az", "group")


def test_a_person_who_is_not_signed_in_is_told() -> None:
    def signed_out(*command: str, succeeds: bool = True) -> str:
        return "" if command[:3] == ("az", "account", "show") else answer_of(command)

    with pytest.raises(DeploymentError, match="run az login"):
        check(signed_out, ENVIRONMENT)


def test_a_program_that_fails_or_is_missing_is_named() -> None:
    with pytest.raises(DeploymentError, match=r"failed: no$"):
        run("sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(DeploymentError, match="no-such-program is not installed"):
        run("no-such-program")
    assert run("sh", "-c", "exit 3", succeeds=False) == ""


def test_a_dry_run_prints_every_step_and_runs_none() -> None:
    command = (sys.executable, "-m", "scripts.deployment", "before-provision", "--dry-run")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - ours
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    printed = [line.split()[0] for line in done.stdout.splitlines()]
    assert printed == programs(clouds.calls)
