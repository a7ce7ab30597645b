"""Does a deployment wait for what has not arrived everywhere, and for nothing else?"""

import pytest

from scripts.deployment.commands import DeploymentError
from scripts.deployment.patience import patient, wait_until_ready
from scripts.deployment.rehearsal import ENVIRONMENT
from scripts.deployment.steps import before_provision
from tests.scripts.deployment.fake_clouds import SlowClouds, quick


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
