"""Does a deployment call the clouds in order, change nothing twice, and refuse by name before it creates?"""

import json
import re

import pytest

from scripts.deployment.commands import DeploymentError
from scripts.deployment.rehearsal import ENVIRONMENT, GUID, answer_of
from scripts.deployment.steps import before_provision, before_removal, check
from settings import ROOT
from tests.scripts.deployment.fake_clouds import FakeClouds, programs


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
