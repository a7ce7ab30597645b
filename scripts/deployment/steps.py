"""Which steps come before azd provisions, and before it removes what it provisioned?"""

import re
import uuid
from collections.abc import Mapping
from typing import Final

from domain.config.environment import EnvironmentReader
from domain.config.fleet_toml import fleet_from_toml
from domain.config.prices_toml import prices_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.errors import ConfigurationError
from domain.routing.estimates import AttemptLimits
from domain.routing.least_cost import too_small_budgets
from scripts.deployment import entra, google
from scripts.deployment.commands import ROOT, CommandRunner, DeploymentError, answer, answers
from settings import read_budgets

NAME: Final = re.compile(r"[a-z][a-z0-9]{2,10}")
CHOICES: Final = {"GANGLION_PROFILE": ("standard", "small"), "GANGLION_FILE_STORAGE": ("true", "false")}
"""Values of infra/azure/main.parameters.json that Azure would refuse only after the applications were created."""

GPU_ADDRESS: Final = "GANGLION_CLOUD_RUN_L4_URL"
DEFAULT_LIMITS: Final = AttemptLimits(hold_s=10, handover_s=480)
"""Those of the settings that a deployment does not change."""


def check(run: CommandRunner, environment: Mapping[str, str]) -> None:
    """Refuse by name, before anything is created, what a deployment would fail on later."""
    name, region = environment.get("AZURE_ENV_NAME", ""), environment.get("AZURE_LOCATION", "")
    if not NAME.fullmatch(name):
        raise DeploymentError(
            f"the name of the azd environment is {name!r}; use 3 to 11 lower-case letters and digits, a letter first"
        )
    for variable, choices in CHOICES.items():
        if environment.get(variable, choices[0]) not in choices:
            raise DeploymentError(f"{variable} is {environment[variable]!r}; use {' or '.join(choices)}")
    tenant = tenant_of(run)
    if not is_guid(tenant):
        raise DeploymentError(f"az account show gives the tenant {tenant!r}, which is no GUID; run az login")
    listed = answers(run("az", "functionapp", "list-flexconsumption-locations", "--output", "json"))
    if region not in {str(each["name"]).replace(" ", "").lower() for each in listed}:
        raise DeploymentError(
            f"AZURE_LOCATION {region!r} has no Flex Consumption; see az functionapp list-flexconsumption-locations"
        )
    check_budgets(environment, has_gpu=google.values_of(environment) is not None)


def check_budgets(environment: Mapping[str, str], *, has_gpu: bool) -> None:
    """Refuse a budget that is no amount, or below what the smallest turn on the GPU may cost at worst."""
    try:
        reader = EnvironmentReader(environment)
        budgets = read_budgets(reader)
        reader.raise_problems()
    except ConfigurationError as problem:
        raise DeploymentError(str(problem)) from None
    variables = {GPU_ADDRESS: "https://gpu.example/v1"} if has_gpu else {}
    texts = {name: (ROOT / f"{name}.toml").read_text(encoding="utf-8") for name in ("fleet", "prices", "systems")}
    fleet = fleet_from_toml(
        texts["fleet"], variables, prices_from_toml(texts["prices"]), systems_from_toml(texts["systems"])
    )
    for each in too_small_budgets(fleet, budgets, DEFAULT_LIMITS):
        raise DeploymentError(each.message)


def is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def tenant_of(run: CommandRunner) -> str:
    return run("az", "account", "show", "--query", "tenantId", "--output", "tsv")


def before_provision(run: CommandRunner, environment: Mapping[str, str]) -> None:
    """Create identity and applications, then Google's part, so that azd deploys the app with all settings at once."""
    check(run, environment)
    name, tenant = environment["AZURE_ENV_NAME"], tenant_of(run)
    group = group_of(environment)
    run(
        "az",
        "group",
        "create",
        "--name",
        group,
        "--location",
        environment["AZURE_LOCATION"],
        "--tags",
        f"azd-env-name={name}",
    )
    identity = answer(
        run("az", "identity", "create", "--resource-group", group, "--name", f"{name}-app", "--output", "json")
    )
    api, federation = entra.apply(run, name)
    audience = f"api://{federation.app_id}"
    settings = {
        "AZURE_RESOURCE_GROUP": group,
        "GANGLION_TOKEN_AUDIENCE": api.app_id,
        "GANGLION_TOKEN_TENANTS": tenant,
        "GANGLION_GOOGLE_SUBJECT_SCOPE": f"{audience}/.default",
    }
    if values := google.values_of(environment):
        found = {"tenant": tenant, "identity_object_id": identity["principalId"], "audience": audience}
        settings |= google.apply(run, values, **found)
    for setting, value in settings.items():
        run("azd", "env", "set", setting, value)


def before_removal(run: CommandRunner, environment: Mapping[str, str]) -> None:
    """Remove what azd does not know: Google's part and the applications."""
    name = environment["AZURE_ENV_NAME"]
    if values := google.values_of(environment):
        audience = environment.get("GANGLION_GOOGLE_SUBJECT_SCOPE", "").removesuffix("/.default")
        found = answer(
            run("az", "identity", "show", "--resource-group", group_of(environment), "--name", f"{name}-app")
        )
        google.remove(
            run,
            values,
            tenant=tenant_of(run),
            identity_object_id=found["principalId"] if found else "",
            audience=audience,
        )
    entra.remove(run, name)


def group_of(environment: Mapping[str, str]) -> str:
    return environment.get("AZURE_RESOURCE_GROUP") or f"rg-{environment['AZURE_ENV_NAME']}"
