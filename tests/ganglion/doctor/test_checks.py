"""Does each check name its fault, and no other check name it too?"""

from collections.abc import Callable
from copy import replace
from email.utils import formatdate
from pathlib import Path
from random import Random

import pytest
from azure.core.exceptions import HttpResponseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from clients.azure_storage.account import error_of
from clients.azure_storage.blob_contents import NO_CONTAINER
from clients.backends.credentials import Hop
from clients.storage.port import DocumentKey
from domain.errors import ConfigurationError
from domain.fleet.failure_classes import Failure, FailureKind
from ganglion.doctor.checks import CHECKS
from ganglion.doctor.command import examine
from ganglion.doctor.outside import Answer
from ganglion.doctor.subject import Subject
from settings import ROOT, Settings
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.ganglion.doctor.harness import APP, BACKENDS, NOW, PUBLIC, TENANT, Case, healthy_case, json_answer, models

ABOUT_A_COUNT = {"gpu.count"}
"""Checks of backends with scaling = "count"."""

ABOUT_AN_APP = {"hub.shared", "boards.present", "telemetry.arrival"}
"""Checks that ask Azure about an app by its name."""


def setting(name: str, value: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.variables[name] = value

    return inject


def unset(name: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        del case.variables[name]

    return inject


def edit(name: str, old: str, new: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.edit(name, old, new)

    return inject


def claim(name: str, value: object) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.claims[name] = value

    return inject


def answer(url: str, given: Answer) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.answers[url] = given

    return inject


def denied(backend: str, hop: Hop) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.denied[backend] = hop

    return inject


def unreachable(host: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.unreachable.add(host)

    return inject


def addresses(host: str, *found: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.addresses[host] = found

    return inject


def key_file(case: Case) -> None:
    file = case.root / "key.json"
    file.write_text('{"private_key": "…"}', encoding="utf-8")
    case.variables["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)


def wrong_budget_file(case: Case) -> None:
    file = case.root / "budgets.toml"
    file.write_text("[tenants.one]\nowner_month = -7\n", encoding="utf-8")
    case.variables["GANGLION_BUDGETS"] = str(file)


def older_token(case: Case) -> None:
    case.claims |= {"ver": "1.0", "iss": f"https://sts.windows.net/{TENANT}/", "appid": case.claims["azp"]}


def no_backend(case: Case) -> None:
    for name in ("CLOUD_RUN_L4", "AZURE_OPENAI", "BEDROCK"):
        del case.variables[f"GANGLION_{name}_URL"]
    case.outside.answers[f"{APP}/readyz"] = json_answer({"status": "ok", "backends": []})


def failing(backend: str, call: str, status: int, body: str = "") -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.models[backend].failures[call] = Failure(kind=FailureKind.STATUS, status=status, body=body)

    return inject


def slow_model(case: Case) -> None:
    case.outside.models["bedrock"].pause_s = 0.04


def shared_hub(case: Case) -> None:
    case.app = "green"
    other_place = "Endpoint=https://other.example;TaskHub=ganglion"
    case.outside.apps = {
        "green": case.variables,
        "shop": {"AzureWebJobsStorage__accountName": "account"},
        "away": {**case.variables, "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": other_place},
        "apart": {**case.variables, f"{HOST}hubName": "apart"},
    }
    case.outside.apps["blue"] = dict(case.variables)


def no_workbook(case: Case) -> None:
    case.app = "green"
    case.outside.workbooks = []


def no_span(case: Case) -> None:
    case.app = "green"
    case.outside.shown_spans = (0,)


def no_quota(case: Case) -> None:
    case.outside.gpus = 0


def no_keys(case: Case) -> None:
    case.outside.publishes_keys = False


def weak_consistency(case: Case) -> None:
    case.outside.level = "Session"


def no_container(case: Case) -> None:
    case.outside.stored["money"] = None


def broken_store(case: Case) -> None:
    memory = MemoryStore(FakeClock(start=NOW))
    case.outside.store_port = FlakyStore(memory, Random(0), Faults(at={0: Fault.UNAVAILABLE}))  # noqa: S311


class RefusingContents(MemoryContents):
    """Refuses what is written, as Azure Storage does: there is no container, or no role."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__()
        self.status = status
        self.code = code

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        refused = HttpResponseError(f"{key.parts} {number} {len(content)}")
        refused.status_code, refused.error_code = self.status, self.code  # pyright: ignore[reportAttributeAccessIssue] - as the SDK does
        raise error_of(refused, "The blob storage")


def refusing_blobs(status: int, code: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.contents = RefusingContents(status, code)

    return inject


def no_letters(case: Case) -> None:
    case.outside.letters = "the container letters rejected the request: ContainerNotFound."


def other_python(case: Case) -> None:
    case.python = (3, 12)


def counted_service(case: Case) -> None:
    counted = f'scaling = "count"\ninstances = {{ service = "{SERVICE}" }}\nprice = "cloud-run-l4"'
    here = '[backends.cloud-run-l4]\nmodel = "llama-3.1-8b"\nsystem = "cloud-run"\n'
    url = 'url = "%GANGLION_CLOUD_RUN_L4_URL%"\n'
    case.edit("fleet.toml", f'{here}{url}price = "cloud-run-l4"', f"{here}{url}{counted}")


async def test_a_counted_service_that_can_be_read_is_no_finding(case: Case) -> None:
    counted_service(case)
    case.outside.answers[f"https://run.googleapis.com/v2/{SERVICE}"] = json_answer({"name": SERVICE})
    assert await found(case) == {}


async def test_a_service_that_runs_more_instances_than_are_counted_is_a_finding(case: Case) -> None:
    counted_service(case)
    scaling = {"scalingMode": "MANUAL", "manualInstanceCount": 2}
    case.outside.answers[f"https://run.googleapis.com/v2/{SERVICE}"] = json_answer({"scaling": scaling})
    assert set(await found(case)) == ABOUT_A_COUNT


def missing_file(case: Case) -> None:
    (case.root / "webhooks.toml").rename(case.root / "hooks.toml")
    case.variables["GANGLION_WEBHOOKS"] = str(case.root / "hooks.toml")


SERVICE = "projects/p/locations/us-central1/services/llm"
HOST = "AzureFunctionsJobHost__extensions__durableTask__"
METRICS = b'vllm:cache_config_info{block_size="16",enable_prefix_caching="True",num_gpu_blocks="661"} 1.0\n'
LATE = {"date": formatdate(NOW + 300, usegmt=True)}

FAULTS: dict[str, Callable[[Case], None]] = {
    "settings.values": setting("GANGLION_BODY_LIMIT", "0"),
    "settings.misspelled": setting("GANGLION_BUDGET_TENNANT_DAY", "5"),
    "settings.unknown": setting("GANGLION_SILENCE", "5"),
    "settings.host_names": setting(f"{HOST}hubNam", "ganglion"),
    "settings.strict_typing": unset("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"),
    "settings.reserved": setting("WEBSITE_RUN_FROM_PACKAGE", "1"),
    "settings.budgets": unset("GANGLION_BUDGET_TENANT_MONTH"),
    "settings.budget_sizes": setting("GANGLION_BUDGET_RESPONSE", "0.2"),
    "settings.sync_wait": setting("GANGLION_SYNC_WAIT_S", "230"),
    "settings.handover": setting("GANGLION_HANDOVER_S", "600"),
    "settings.stream": setting("GANGLION_STREAM_S", "1800"),
    "settings.sweeper": setting("GANGLION_SWEEP_SILENT_S", "480"),
    "settings.credentials": unset("GANGLION_GOOGLE_SERVICE_ACCOUNT"),
    "settings.key_file": key_file,
    "files.prices": edit("prices.toml", 'kind = "per_second"', 'kind = "per_century"'),
    "files.systems": edit("systems.toml", "[systems.bedrock]", "[systems.bedrock]\ncolour = 1"),
    "files.fleet": edit("fleet.toml", "decode_tokens_s = 80", "decode_tokens_s = -1"),
    "files.sources": edit("sources.toml", "max_rows = 20", "max_rows = 0"),
    "files.webhooks": edit("webhooks.toml", "secrets =", "secretes ="),
    "files.tools": edit("tools.toml", 'approval = "never"', 'approval = "perhaps"'),
    "files.pipelines": edit("pipelines.toml", 'trigger = "queue"', 'trigger = "mail"'),
    "files.budgets": wrong_budget_file,
    "files.price_age": edit("prices.toml", 'date = "2026-08"', 'date = "2026-01"'),
    "files.tokenizers": edit("fleet.toml", "tier = 3", 'tier = 3\ntokenizer = "missing.json"'),
    "files.host": edit("host.json", '"version"', "version"),
    "host.route_prefix": edit("host.json", '"routePrefix": ""', '"routePrefix": "api"'),
    "host.bundle": edit("host.json", "ExtensionBundle", "Preview"),
    "host.versions": edit("host.json", "CurrentOrOlder", "Strict"),
    "package.contents": missing_file,
    "package.exclusions": edit(".funcignore", "standins\n", ""),
    "package.python": other_python,
    "package.installed": edit("requirements.txt", "httpx==", "httpx==0"),
    "package.hashes": edit(
        "requirements.txt", "httpx==", "httpx-of-another-index==1.0 ; python_version < '3'\nhttpx=="
    ),
    "identity.audience": setting("GANGLION_TOKEN_AUDIENCE", "ganglion"),
    "identity.tenants": setting("GANGLION_TOKEN_TENANTS", f"{TENANT},contoso"),
    "identity.issuer": no_keys,
    "identity.clock": answer("https://login.microsoftonline.com", Answer(status=200, headers=LATE)),
    "identity.token": claim("exp", NOW - 3600),
    "identity.token_version": older_token,
    "identity.permission": claim("scp", "other"),
    "identity.managed": denied("azure-openai", Hop.IDENTITY),
    "identity.google_sts": denied("cloud-run-l4", Hop.STS),
    "identity.google_iam": denied("cloud-run-l4", Hop.IAM),
    "identity.aws_sts": denied("bedrock", Hop.AWS_STS),
    "backends.enabled": no_backend,
    "backends.resolve": addresses("gpu.example"),
    "backends.reach": unreachable("gpu.example"),
    "backends.authenticate": answer("https://openai.example/v1/models", Answer(status=403)),
    "backends.models": answer("https://openai.example/v1/models", models("gpt-2")),
    "gpu.count": counted_service,
    "backends.probe": failing("bedrock", "probe", 404),
    "backends.answer": failing("bedrock", "answer", 400, "Unsupported parameter: 'max_tokens'"),
    "backends.json": failing("cloud-run-l4", "json", 400),
    "backends.continuation": failing("cloud-run-l4", "partial", 400, "does not support assistant message prefill"),
    "backends.speed": slow_model,
    "backends.memory": answer("https://gpu.example/metrics", Answer(status=200, body=METRICS)),
    "store.account": setting("GANGLION_COSMOS_URL", "http://account.documents.azure.com"),
    "store.reach": unreachable("account.documents.azure.com"),
    "store.consistency": weak_consistency,
    "store.containers": no_container,
    "store.access": broken_store,
    "store.clock": answer("https://account.documents.azure.com", Answer(status=401, headers=LATE)),
    "blobs.body_size": setting("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "104857600"),
    "blobs.reach": unreachable("files.blob.core.windows.net"),
    "blobs.container": refusing_blobs(404, NO_CONTAINER),
    "blobs.access": refusing_blobs(403, "AuthorizationPermissionMismatch"),
    "hub.name": setting(f"{HOST}hubName", "my-hub"),
    "hub.storage": unset("AzureWebJobsStorage__accountName"),
    "hub.keys": setting("AzureWebJobsStorage", "AccountName=account;AccountKey=abcdefgh"),
    "hub.scheduler": unset("DURABLE_TASK_SCHEDULER_CONNECTION_STRING"),
    "hub.shared": shared_hub,
    "network.private": addresses("account.queue.core.windows.net", PUBLIC),
    "network.sources": addresses("crm.example", "169.254.169.254"),
    "sources.reach": unreachable("crm.example"),
    "sources.blobs": no_letters,
    "pipelines.references": edit("pipelines.toml", 'model = "auto"', 'model = "gpt-9"'),
    "pipelines.queues": unset("TICKETS__queueServiceUri"),
    "webhooks.reach": unreachable("hooks.example"),
    "gpu.start_up_probe": edit("fleet.toml", "p99_s = 200", "p99_s = 400"),
    "gpu.quota": no_quota,
    "telemetry.arrival": no_span,
    "telemetry.connection": setting("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=mine"),
    "telemetry.collector": answer("https://collector.example/v1/traces", Answer(status=404)),
    "telemetry.console": setting("GANGLION_TELEMETRY", "console"),
    "boards.present": no_workbook,
    "app.alive": answer(f"{APP}/healthz", Answer(status=500)),
    "app.ready": answer(f"{APP}/readyz", json_answer({"parts": {"store": "down"}, "backends": BACKENDS}, status=503)),
    "app.backends": answer(f"{APP}/readyz", json_answer({"backends": ["cloud-run-l4", "bedrock"]})),
}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return healthy_case(tmp_path)


async def found(case: Case) -> dict[str, list[str]]:
    results = await examine(case.subject())
    return {result.check.name: [fault.text for fault in result.faults] for result in results if result.faults}


def test_every_check_has_a_fault_and_a_name_of_its_own() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names) >= 40
    assert {*FAULTS, "host.polling"} == set(names)


async def test_a_healthy_application_has_no_finding_and_every_check_runs(case: Case) -> None:
    results = await examine(case.subject())
    not_run = {result.check.name: result.not_run for result in results if result.not_run}
    assert not_run.keys() == ABOUT_AN_APP | ABOUT_A_COUNT
    assert await found(case) == {}


async def test_with_the_name_of_an_app_azure_is_asked_about_it(case: Case) -> None:
    case.app = "green"
    results = await examine(case.subject())
    assert not ABOUT_AN_APP & {result.check.name for result in results if result.not_run or result.faults}


async def test_a_span_of_the_doctor_is_looked_for_until_it_is_shown(case: Case) -> None:
    case.app = "green"
    assert await found(case) == {}
    assert len(case.outside.asked) == len(case.outside.shown_spans)
    assert len(set(case.outside.asked)) == 1


async def test_a_receiver_that_drops_the_span_is_named_with_its_reason(case: Case) -> None:
    dropped = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="over the quota")
    )
    case.outside.answers["https://collector.example/v1/traces"] = Answer(status=200, body=dropped.SerializeToString())
    ((text,),) = (await found(case)).values()
    assert text.endswith("drops spans: over the quota")


async def test_a_quota_below_the_instances_of_the_gpu_service_is_named(case: Case) -> None:
    case.outside.gpus = 2
    (case.root / "infra" / "google" / "terraform.tfvars").write_text("max_instances = 3\n", encoding="utf-8")
    ((text,),) = (await found(case)).values()
    assert text == "the project may run 2 L4 GPUs in us-central1, but max_instances of infra/google is 3"


async def test_a_file_of_the_doctor_is_gone_afterwards(case: Case) -> None:
    assert await found(case) == {}
    assert (case.outside.contents.blocks, case.outside.contents.whole) == ({}, {})


class AbsentLibrary(MemoryContents):
    """Is imported at the first use, and not there: the package was built without it."""

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        raise ModuleNotFoundError(f"No module named 'azure.storage': {key.parts} {number} {len(content)}")


async def test_a_package_without_the_libraries_of_the_blob_storage_is_named(case: Case) -> None:
    case.outside.contents = AbsentLibrary()
    ((name, (text,)),) = (await found(case)).items()
    assert (name, text.partition(";")[0]) == (
        "blobs.access",
        "GANGLION_BLOB_URL: azure-storage-blob is not installed",
    )


async def test_a_local_setting_of_the_blob_storage_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def local(_: object, _settings: Settings) -> MemoryContents:
        raise ConfigurationError(("GANGLION_STORAGE_TOKEN: is for local use only; remove it",))

    monkeypatch.setattr(type(case.outside), "files", local)
    assert await found(case) == {"blobs.access": ["GANGLION_STORAGE_TOKEN: is for local use only; remove it"]}


async def test_a_public_address_of_the_blob_storage_is_named(case: Case) -> None:
    addresses("files.blob.core.windows.net", PUBLIC)(case)
    ((text,),) = (await found(case)).values()
    assert text.startswith(f"files.blob.core.windows.net resolves to the public address {PUBLIC}")


@pytest.mark.parametrize("name", ["TICKETS", "AzureWebJobsTICKETS", "TICKETS__accountName"])
async def test_every_setting_by_which_the_host_finds_a_queue_is_one(case: Case, name: str) -> None:
    case.variables[name] = case.variables.pop("TICKETS__queueServiceUri")
    assert await found(case) == {}


async def test_an_app_that_shares_the_hub_is_named_and_no_other(case: Case) -> None:
    shared_hub(case)
    ((text,),) = (await found(case)).values()
    assert text == "the app blue uses the same task hub (https://hub.example, ganglion): each takes steps of the other"


async def test_the_command_for_a_budget_gives_it_at_least_what_is_needed(case: Case) -> None:
    case.variables["GANGLION_BUDGET_OWNER_DAY"] = "0.000000001"
    (result,) = (each for each in await examine(case.subject()) if each.faults)
    name, _, amount = result.faults[0].fix.rpartition(" ")[2].partition("=")
    case.variables[name] = amount
    assert await found(case) == {}


@pytest.mark.parametrize(("budget", "effect"), [("0.2", "they are never used"), ("0.000000001", "no turn can run")])
async def test_a_budget_below_a_backends_worst_case_is_named_with_the_amount(
    case: Case, budget: str, effect: str
) -> None:
    case.variables["GANGLION_BUDGET_OWNER_DAY"] = budget
    ((text,),) = (await found(case)).values()
    assert text.startswith("GANGLION_BUDGET_OWNER_DAY: ")
    assert effect in text
    assert "cloud-run-l4 $0." in text


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    FAULTS[name](case)
    results = [result for result in await examine(case.subject()) if result.faults]
    assert [result.check.name for result in results] == [name]
    assert every(fault.fix.strip() for fault in results[0].faults)


def test_every_check_names_a_page_that_exists() -> None:
    pages = {check.doc.partition("#")[0] for check in CHECKS}
    assert every((ROOT / page).is_file() for page in pages)


async def test_a_hub_in_azure_storage_that_is_polled_rarely_is_named(case: Case) -> None:
    del case.variables[f"{HOST}storageProvider__type"]
    case.edit("host.json", "00:00:05", "00:00:30")
    assert list(await found(case)) == ["host.polling"]


async def test_a_finding_of_a_file_names_its_line(case: Case) -> None:
    FAULTS["files.prices"](case)
    file = case.root / "prices.toml"
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "per_century" in text)
    (result,) = (each for each in await examine(case.subject()) if each.faults)
    assert result.faults[0].text.startswith(f"{file}:{line}: prices.")


@pytest.mark.parametrize(
    ("inject", "advice"),
    [
        (failing("bedrock", "answer", 400, "'max_tokens' is no field"), 'set output_limit = "max_completion_tokens"'),
        (failing("bedrock", "answer", 400, "'temperature' does not support 0"), "set sampling = []"),
        (failing("bedrock", "answer", 403), "the backend does not answer a chat: status 403"),
        (failing("cloud-run-l4", "partial", 400), 'set continues = "no"'),
        (failing("cloud-run-l4", "json", 400), "remove json_schema"),
        (failing("cloud-run-l4", "probe", 503), "does not prove that the backend is up: status 503"),
    ],
)
async def test_a_model_s_refusal_names_the_field_to_change(
    case: Case, inject: Callable[[Case], None], advice: str
) -> None:
    inject(case)
    ((text,),) = (await found(case)).values()
    assert advice in text


async def test_an_answer_that_does_not_follow_its_schema_is_named(case: Case) -> None:
    case.outside.models["cloud-run-l4"].json_text = "seven"
    ((text,),) = (await found(case)).values()
    assert "does not follow a JSON schema" in text


async def test_no_gpu_is_started_without_the_flag(case: Case) -> None:
    failing("cloud-run-l4", "probe", 503)(case)
    target = replace(case.subject().target, starts_gpus=False)
    results = await examine(Subject(target, case.outside))
    assert [result.faults for result in results if result.check.name == "backends.probe"] == [()]
