"""Does a deployment call the clouds in order, change nothing twice, and refuse by name before it creates?"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from domain.identity.roles import AppRole
from scripts.deployment import entra
from scripts.deployment.commands import DeploymentError, run
from scripts.deployment.patience import Patience, patient, wait_until_ready
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
        ({"GANGLION_PROFILE": "smal"}, "GANGLION_PROFILE is 'smal'; use standard or small"),
        ({"GANGLION_FILE_STORAGE": "yes"}, "GANGLION_FILE_STORAGE is 'yes'; use true or false"),
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


class SlowClouds(FakeClouds):
    """Answers commands that begin with `late` only after some tries, with what a cloud says until then."""

    def __init__(self, *late: str, tries: int, message: str) -> None:
        super().__init__()
        self.late = late
        self.tries = tries
        self.message = message

    def __call__(self, *command: str, succeeds: bool = True) -> str:
        if command[: len(self.late)] == self.late and self.tries:
            self.tries -= 1
            self.calls.append(command)
            raise DeploymentError(f"{command[0]} failed: {self.message}")
        return super().__call__(*command, succeeds=succeeds)


def quick(said: list[str], tries: int = 4) -> Patience:
    return Patience(tries=tries, say=said.append, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("late", "message"),
    [
        (("az", "rest"), "Not Found: Resource '…' does not exist or one of its queried reference-property objects…"),
        (("az", "ad", "sp"), "The appId '…' of the service principal does not reference a valid application object."),
        (("terraform", "-chdir=infra/google", "apply"), "Error 403: Permission 'iam.serviceAccounts.create' denied"),
    ],
)
def test_what_has_not_arrived_everywhere_is_waited_for_and_said(late: tuple[str, ...], message: str) -> None:
    clouds, said = SlowClouds(*late, tries=2, message=message), list[str]()
    before_provision(patient(clouds, quick(said)), ENVIRONMENT)
    assert len(said) == 2
    assert "A new role or application takes up to 10 minutes to arrive everywhere" in said[0]
    assert "trying again in 30 s (30 of at most 90 s)" in said[0]
    assert clouds.called("azd", "env", "set")


def test_a_right_that_never_arrives_ends_the_deployment_after_its_last_try() -> None:
    clouds, said = SlowClouds("az", "group", tries=9, message="(AuthorizationFailed) The client …"), list[str]()
    with pytest.raises(DeploymentError, match="AuthorizationFailed"):
        before_provision(patient(clouds, quick(said)), ENVIRONMENT)
    assert (len(said), len(clouds.called("az", "group"))) == (3, 4)


def test_any_other_failure_ends_the_deployment_at_once() -> None:
    clouds, said = SlowClouds("az", "group", tries=1, message="(LocationNotAvailable) …"), list[str]()
    with pytest.raises(DeploymentError, match="LocationNotAvailable"):
        before_provision(patient(clouds, quick(said)), ENVIRONMENT)
    assert said == []


def test_a_deployment_ends_when_the_app_is_ready_and_says_why_it_waits() -> None:
    clouds, said = SlowClouds("curl", tries=3, message='503 {"parts": {"store": "down"}}'), list[str]()
    wait_until_ready(clouds, "https://app", quick(said))
    assert len(said) == 3
    assert '"store": "down"' in said[0]
    clouds.tries = 4
    with pytest.raises(DeploymentError, match=r"store.*python -m ganglion doctor --app NAME"):
        wait_until_ready(clouds, "https://app", quick(said))


@pytest.mark.parametrize(
    ("budget", "refusal"),
    [
        ("0.10", "GANGLION_BUDGET_RESPONSE: $0.10 is below what the smallest turn may cost at worst (cloud-run-l4 $0."),
        ("ten", "GANGLION_BUDGET_RESPONSE: expected a number above 0"),
    ],
)
def test_a_budget_that_no_turn_on_the_gpu_fits_is_refused_before_anything_is_created(budget: str, refusal: str) -> None:
    clouds = FakeClouds()
    with pytest.raises(DeploymentError, match=re.escape(refusal)):
        before_provision(clouds, {**ENVIRONMENT, "GANGLION_BUDGET_RESPONSE": budget})
    assert not clouds.called("az", "group")
    before_provision(clouds, {**ENVIRONMENT, "GANGLION_BUDGET_RESPONSE": "5", "GOOGLE_PROJECT": "none"})
