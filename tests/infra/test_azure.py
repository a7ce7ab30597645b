"""Do the Bicep files fit each other, and the app that they make room for?"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pycep import BicepParser

from clients.storage.cosmos.containers import DEFINITIONS, as_resource
from settings import ROOT
from tests.test_settings import ROW

FOLDER = ROOT / "infra" / "azure"
FILES = sorted(FOLDER.glob("*.bicep"))
SHIPPED = {
    match["name"]: match["default"].strip("` ") for match in ROW.finditer((ROOT / "docs" / "operations.md").read_text())
}
DOCUMENTED = set(SHIPPED)
FORBIDDEN_ON_FLEX = re.compile(
    r"FUNCTIONS_WORKER_RUNTIME|SCM_DO_BUILD|ENABLE_ORYX|WEBSITE_RUN_FROM|WEBSITE_CONTENT|\bTZ\b"
)


@cache
def parsed(file: Path) -> Any:
    return BicepParser().parse(text=file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_parses(file: Path) -> None:
    assert parsed(file)["parameters"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_module_is_given_its_parameters_and_no_others(file: Path) -> None:
    for module in parsed(file).get("modules", {}).values():
        declared = parsed(FOLDER / module["detail"]["path"])["parameters"]
        required = {name for name, each in declared.items() if each["default"] is None}
        given = set(body(module)["params"])
        assert required <= given <= set(declared), module["detail"]["path"]


def test_what_modules_are_asked_for_they_give() -> None:
    main = parsed(FOLDER / "main.bicep")
    modules = {name: parsed(FOLDER / each["detail"]["path"]) for name, each in main["modules"].items()}
    asked = re.findall(r"(\w+)!?\.outputs\.(\w+)", (FOLDER / "main.bicep").read_text())
    assert asked
    for name, output in asked:
        assert output in modules[name]["outputs"], f"{name}.outputs.{output}"


def test_the_containers_are_those_of_the_store() -> None:
    written = json.loads((FOLDER / "containers.json").read_text())
    assert written == [as_resource(each) for each in DEFINITIONS], (
        "python -m clients.storage.cosmos.setup --print writes it"
    )


def test_every_setting_is_one_that_the_app_reads() -> None:
    text = (FOLDER / "main.bicep").read_text() + (FOLDER / "main.sample.bicepparam").read_text()
    addresses = set(re.findall(r"%(GANGLION_\w+)%", (ROOT / "fleet.toml").read_text()))
    handed_to_hooks = {"GANGLION_URL"}
    assert set(re.findall(r"\bGANGLION_[A-Z0-9_]+", text)) <= DOCUMENTED | addresses | handed_to_hooks


def test_no_further_setting_moves_the_app_to_the_hub_of_another_app() -> None:
    text = (FOLDER / "main.bicep").read_text()
    (merged,) = re.findall(r"settings: union\(([\w, ]+)\)", text)
    names = merged.split(", ")
    assert names.index("settings") < names.index("hubSettings") < names.index("durable")
    hub = text.partition("var hubSettings = {")[2].partition("}")[0]
    assert "AzureWebJobsStorage__accountName: storage.outputs.accountName" in hub


def test_nothing_is_set_that_flex_consumption_refuses() -> None:
    assert not FORBIDDEN_ON_FLEX.search("".join(file.read_text() for file in FILES))


def test_no_service_takes_a_key_or_a_call_from_outside() -> None:
    store = resource("cosmos.bicep", "account")["properties"]
    files = resource("storage.bicep", "account")["properties"]
    vault = resource("vault.bicep", "vault")["properties"]
    assert (store["disableLocalAuth"], files["allowSharedKeyAccess"]) == (True, False)
    assert resource("telemetry.bicep", "insights")["properties"]["DisableLocalAuth"] is True
    for service in (store, files, vault):
        assert chosen(service["publicNetworkAccess"]) == ("isPrivate", "Disabled", "Enabled")
    main = (FOLDER / "main.bicep").read_text()
    assert "param profile string = 'standard'" in main
    assert "var isPrivate = profile == 'standard'" in main


def chosen(value: dict[str, Any]) -> tuple[str, str, str]:
    operands = value["operator"]["operands"]
    return operands["condition"], operands["true_value"], operands["false_value"]


def test_the_app_is_replaced_instance_by_instance() -> None:
    configuration = resource("app.bicep", "site")["properties"]["functionAppConfig"]
    assert configuration["siteUpdateStrategy"] == {"type": "updateStrategy"}
    assert parsed(FOLDER / "main.bicep")["parameters"]["updateStrategy"]["default"] == "RollingUpdate"
    assert configuration["runtime"] == {"name": "python", "version": "3.13"}


def resource(file: str, name: str) -> dict[str, Any]:
    return parsed(FOLDER / file)["resources"][name]["config"]


def body(module: dict[str, Any]) -> dict[str, Any]:
    """What a module is given; that of a loop or a condition stands one deeper."""
    config = module["config"]
    return config["config"] if "loop_type" in config or "condition" in config else config


def test_what_may_be_a_secret_is_not_kept_in_the_deployment_history() -> None:
    secure = {
        (file.name, name)
        for file in FILES
        for name, each in parsed(file)["parameters"].items()
        if "secure" in [decorator["type"] for decorator in each["decorators"]]
    }
    assert secure == {
        ("main.bicep", "settings"),
        ("main.bicep", "secrets"),
        ("app.bicep", "settings"),
        ("vault.bicep", "secrets"),
    }


def test_the_first_secret_brings_a_vault_that_only_the_identity_reads() -> None:
    vault = resource("vault.bicep", "vault")["properties"]
    assert vault["enableRbacAuthorization"] is True
    main = parsed(FOLDER / "main.bicep")
    assert main["modules"]["vault"]["config"]["condition"]
    assert main["parameters"]["secretNames"]["default"] == []


def test_large_files_have_a_container_by_one_flag_which_is_off() -> None:
    assert parsed(FOLDER / "main.bicep")["parameters"]["fileStorage"]["default"] is False
    storage = parsed(FOLDER / "storage.bicep")
    for part in ("files", "lifecycle"):
        assert storage["resources"][part]["config"]["condition"] == "keepsFiles"
    assert storage["variables"]["filesContainer"]["value"] == SHIPPED["GANGLION_BLOB_CONTAINER"]
    (rule,) = body(storage["resources"]["lifecycle"])["properties"]["policy"]["rules"]
    assert rule["definition"]["filters"]["prefixMatch"] == ["${filesContainer}/"]
    assert "delete" not in rule["definition"]["actions"]["baseBlob"]
    main = (FOLDER / "main.bicep").read_text()
    assert "GANGLION_BLOB_URL: storage.outputs.blobUrl" in main
    assert "var fileSettings = fileStorage ? blobSettings : {}" in main


def test_a_deleted_file_is_gone_so_that_an_erasure_is_final() -> None:
    kept = resource("storage.bicep", "blobs")["properties"]
    assert kept == {"deleteRetentionPolicy": {"enabled": False}, "isVersioningEnabled": False}


def test_a_second_app_gets_the_same_right_on_the_store_of_the_first_one_and_an_endpoint_of_its_own() -> None:
    shared, own = resource("storeAccess.bicep", "granted"), resource("cosmos.bicep", "granted")
    assert shared["name"] == own["name"]
    assert shared["properties"]["roleDefinitionId"] == own["properties"]["roleDefinitionId"]
    assert parsed(FOLDER / "cosmos.bicep")["resources"]["database"]["config"]["name"] == "ganglion"
    assert parsed(FOLDER / "storeAccess.bicep")["variables"]["databaseName"]["value"] == "ganglion"
    endpoint = parsed(FOLDER / "main.bicep")["modules"]["otherEndpoint"]
    assert body(endpoint)["params"]["serviceId"] == "storeId"
    assert parsed(FOLDER / "main.bicep")["parameters"]["storeId"]["default"] == ""


def test_an_app_of_an_earlier_release_keeps_its_link_to_a_private_zone() -> None:
    """A zone has one link to a network: a link of another name is refused, and the deployment with it."""
    assert resource("endpoint.bicep", "link")["name"] == "app"


def test_the_store_has_one_region_unless_more_are_named() -> None:
    account = resource("cosmos.bicep", "account")["properties"]
    assert account["locations"] == "places"
    assert account["consistencyPolicy"] == {"defaultConsistencyLevel": "Strong"}
    assert parsed(FOLDER / "main.bicep")["parameters"]["storeRegions"]["default"] == []


def test_event_grid_writes_to_one_queue_alone_and_with_its_own_identity() -> None:
    events = parsed(FOLDER / "events.bicep")
    granted = body(events["resources"]["granted"])
    assert granted["scope"] == "news"
    assert events["variables"]["messageSender"]["value"] == "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"
    subscription = body(events["resources"]["subscriptions"])["properties"]
    assert subscription["eventDeliverySchema"] == "CloudEventSchemaV1_0"
    assert subscription["deliveryWithResourceIdentity"]["identity"] == {"type": "SystemAssigned"}
    assert subscription["filter"]["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]
    assert parsed(FOLDER / "main.bicep")["parameters"]["watchedContainers"]["default"] == []


def test_the_scheduler_lets_somebody_in() -> None:
    allowed = parsed(FOLDER / "main.bicep")["parameters"]["schedulerAddresses"]
    assert len(allowed["default"]) >= 1
    assert resource("scheduler.bicep", "scheduler")["properties"]["ipAllowlist"] == "allowedAddresses"


def test_host_json_fits_both_stores_of_orchestrations_by_settings_alone() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    storage = host["extensions"]["durableTask"]["storageProvider"]
    assert storage["type"] == "azureStorage"
    managed = overlaid(host, scheduler_settings())
    assert managed["extensions"]["durableTask"]["storageProvider"] == storage | {
        "type": "azureManaged",
        "connectionStringName": "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
    }
    assert managed["extensionBundle"]["version"] == "[4.32.0, 5.0.0)"
    hub = managed["extensions"]["durableTask"]["hubName"]
    assert f"hub: '{hub}'" in (FOLDER / "main.bicep").read_text()
    assert managed["extensions"]["durableTask"]["defaultVersion"] == host["extensions"]["durableTask"]["defaultVersion"]


def scheduler_settings() -> dict[str, str]:
    text = (FOLDER / "main.bicep").read_text().partition("var schedulerSettings = {")[2].partition("\n}")[0]
    return dict(re.findall(r"^\s+(AzureFunctionsJobHost__\w+): '(.*)'$", text, re.MULTILINE))


def overlaid(host: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """Return host.json as the host reads it with app settings; `__` separates the names of a path."""
    effective = json.loads(json.dumps(host))
    for name, value in settings.items():
        *path, last = name.split("__")[1:]
        inner = effective
        for part in path:
            inner = inner[part]
        inner[last] = value
    return effective
