"""Do systems give their backends defaults, and is every mistake in their tables named?"""

import re
from copy import replace
from decimal import Decimal

import pytest

from domain.config.fleet_toml import fleet_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.errors import ConfigurationError
from domain.fleet.catalog import Auth, AuthKind, Backend, OutputLimit, SamplingField
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, diagnose
from domain.fleet.request_forms import Probe, ProbeBody, ProbeMethod
from domain.money.prices import TimePrice
from tests.domain.fleets import PRICES, SHIPPED_PRICES, SHIPPED_SYSTEMS, shipped_text

FLEET = """
[models.small]
context_tokens = 8192
tier = 1

{systems}

[backends.one]
model = "small"
system = "{system}"
url = "{url}"
price = "{price}"
limits = {{ context_tokens = 4096, max_output_tokens = 1024, concurrency = 4, request_timeout_s = 100 }}
speed = {{ prefill_tokens_s = 1000, decode_tokens_s = 50 }}
{fields}
"""
SECRETS = {"MODAL_KEY": "wk-1", "MODAL_SECRET": "ws-1", "EXTRA": "e-1"}
AWS = {
    "bedrock",
    "bedrock-converse",
    "sagemaker",
    "sagemaker-invocations",
    "sagemaker-serverless",
    "lambda",
    "lambda-invoke",
}
REGION = 'auth = { region = "us-east-1" }'
OWN = {
    **dict.fromkeys(AWS, REGION),
    **dict.fromkeys(("triton-generate", "kserve-infer"), 'prompt = { template = "gemma" }'),
}
"""What no system can give its backends."""
UNCOUNTED = {"kserve-infer", "azure-ml-score", "own"}


def price_of(system: str) -> str:
    """Return the name of a price that fits a system: one of time where tokens are not counted."""
    return "gpu" if system in UNCOUNTED else "api"


def read(system: str, fields: str = "", *, systems: str = "", url: str = "https://host.example/v1") -> Backend:
    text = FLEET.format(system=system, fields=fields, systems=systems, url=url, price=price_of(system))
    return fleet_from_toml(text, SECRETS, PRICES, SHIPPED_SYSTEMS).backends["one"]


def problems_of(system: str, fields: str = "", *, systems: str = "") -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(system, fields, systems=systems)
    return caught.value.problems


def test_a_fleet_of_all_shipped_systems_at_once_is_read() -> None:
    head, entry = FLEET.split("[backends.one]")
    entries = [
        f"[backends.{name.replace('.', '-')}]"
        + entry.format(
            system=name,
            price=price_of(name),
            url="https://host.example/functions/chat" if name == "lambda-invoke" else "https://host.example/v1",
            fields=OWN.get(name, ""),
        )
        for name in SHIPPED_SYSTEMS
    ]
    fleet = fleet_from_toml(head.format(systems="") + "\n".join(entries), SECRETS, PRICES, SHIPPED_SYSTEMS)
    assert len(fleet.backends) == len(SHIPPED_SYSTEMS)


def test_the_examples_of_the_handbook_are_a_fleet_of_every_system() -> None:
    prices = {**SHIPPED_PRICES, "tokens": PRICES["api"], "machine": PRICES["gpu"]}
    fleet = fleet_from_toml(shipped_text("docs/examples/fleet.toml"), SECRETS, prices, SHIPPED_SYSTEMS)
    assert {each.system for each in fleet.backends.values()} == set(SHIPPED_SYSTEMS) - {"scripted"}
    assert fleet.unconfigured == ()


def test_a_backend_gets_what_its_system_says() -> None:
    found = read("sagemaker", REGION)
    assert found.auth == Auth(kind=AuthKind.AWS_KEY, service="sagemaker", region="us-east-1")
    assert found.served_model == ""
    assert found.probe == Probe(method=ProbeMethod.POST, path="chat/completions", body=ProbeBody.CHAT)
    assert found.signatures[0].failure_class is FailureClass.COLD
    assert not read("ollama").cold_start.abandoned_starts
    assert read("cloud-run").limits.request_bytes == 33_554_432
    assert read("cloud-run").auth.audience == "https://host.example"


def test_a_backend_overrides_single_fields_of_its_system() -> None:
    found = read(
        "vertex", 'auth = { service_account = "a@p.iam.gserviceaccount.com" }\nprobe = { path = "up", up = [204] }'
    )
    assert found.auth.scope == "https://www.googleapis.com/auth/cloud-platform"
    assert found.auth.service_account == "a@p.iam.gserviceaccount.com"
    assert found.probe == Probe(path="up", up=(204,))
    assert read("sagemaker", f'{REGION}\nserved_model = "m"').served_model == "m"


def test_credentials_of_another_kind_replace_those_of_the_system() -> None:
    assert read("azure-openai", 'auth = { kind = "static_bearer", setting = "KEY" }').auth == Auth(
        kind=AuthKind.STATIC_BEARER, setting="KEY"
    )
    assert read("cloud-run", 'auth = { kind = "none" }').auth == Auth()


def test_a_fleet_file_overrides_and_extends_a_shipped_system() -> None:
    own = """
        [systems.cloud-run]
        limits = { request_timeout_s = 3600 }
        signatures = [{ failure_class = "throttled", statuses = [418], note = "own" }]
    """
    found = read("cloud-run", systems=own)
    assert [row.note for row in found.signatures][:1] == ["own"]
    assert len(found.signatures) == len(SHIPPED_SYSTEMS["cloud-run"].signatures) + 1
    assert found.limits.request_timeout_s == 100
    assert found.limits.request_bytes == 33_554_432


def test_a_new_system_takes_four_lines_and_no_code() -> None:
    own = """
        [systems.newcomer]
        headers = { X-Key = "%EXTRA%" }
        output_limit = "max_completion_tokens"
        sampling = []
    """
    found = read("newcomer", systems=own)
    assert found.headers == {"x-key": "e-1"}
    assert found.output_limit is OutputLimit.MAX_COMPLETION_TOKENS
    assert found.sampling == ()
    assert read("openai").sampling == tuple(SamplingField)


def test_the_former_name_of_a_field_overrides_the_default_of_a_system() -> None:
    own = "[systems.late]\ncold = { warm_up_hold_s = 9, idle_s = 30 }\n"
    found = read("late", "cold = { wake_hold_s = 1 }", systems=own).cold_start
    assert (found.warm_up_hold_s, found.idle_s) == (1, 30)


def test_the_secrets_in_headers_are_neither_shown_nor_part_of_an_error() -> None:
    found = read("modal")
    assert found.headers == {"modal-key": "wk-1", "modal-secret": "ws-1"}
    assert "wk-1" not in repr(found)
    assert not any("e-1" in each for each in problems_of("openai", 'headers = { "bad name" = "%EXTRA%" }'))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ('headers = { X = "%NOT_SET%" }', "backends.one.headers.X: the variable NOT_SET is not set; set it"),
        ('headers = { Host = "a" }', "backends.one.headers.Host: expected the name of a header that may be added"),
        ('headers = { X = "a\\nb" }', "backends.one.headers.X: expected one line of printable ASCII"),
        (
            'probe = { path = "health" }',
            "backends.one.probe.up: expected the statuses that prove that the backend is up, like [200], found nothing",
        ),
        (
            'probe = { body = "chat", up = [200] }',
            "backends.one.probe.method: expected POST, which a chat needs, found nothing",
        ),
        (
            "probe = { up = [200], starting = [200] }",
            "backends.one.probe: expected each status once among up, starting and refused",
        ),
        (
            'auth = { kind = "aws_key" }',
            "backends.one.auth.region: expected text, which aws_key needs, found nothing",
        ),
        (
            'auth = { kind = "aws_key", service = "lambda", region = "us-east-1" }',
            (
                "backends.one.auth.service: expected one of bedrock, sagemaker, the services with short-term keys, "
                "found 'lambda'"
            ),
        ),
        (
            'auth = { kind = "aws_sigv4", service = "lambda", region = "us-east-1", role = "admin" }',
            "backends.one.auth.role: expected arn:aws:iam::ACCOUNT:role/NAME, found 'admin'",
        ),
        (
            'signatures = [{ failure_class = "cold", statuses = [400], body = "has no capacity", note = "n" }]',
            (
                "backends.one.signatures[0].body: expected body_pattern instead, anchored at the body's start, like "
                "'^has no capacity', found 'has no capacity'"
            ),
        ),
        (
            'signatures = [{ failure_class = "unfit", kinds = ["status"], body_pattern = "^a|b", note = "n" }]',
            (
                "backends.one.signatures[0].body_pattern: expected a pattern anchored at the body's start that allows "
                "no free text, like '^a\\\\|b', found '^a|b'"
            ),
        ),
    ],
)
def test_a_mistake_is_named_by_table_and_field(fields: str, problem: str) -> None:
    assert problem in problems_of("openai", fields)


def test_calls_that_are_billed_one_by_one_have_no_sessions() -> None:
    gpu = PRICES["gpu"]
    assert isinstance(gpu, TimePrice)
    prices = {**PRICES, "gpu": replace(gpu, request=Decimal("0.0000002"))}
    text = FLEET.format(system="lambda", fields=REGION, systems="", url="https://host.example/v1", price="gpu")
    assert fleet_from_toml(text, {}, prices, SHIPPED_SYSTEMS).backends["one"].price == prices["gpu"]
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(f"{text}\ncold = {{ scales_to_zero = true }}", {}, prices, SHIPPED_SYSTEMS)
    assert any("expected a price without request" in each for each in caught.value.problems)


def test_a_header_of_a_backend_that_is_left_out_may_name_a_setting_that_is_not_set() -> None:
    text = FLEET.format(system="modal", fields="", systems="", price="api", url="https://%NOT_SET_URL%/v1")
    assert fleet_from_toml(text, {}, PRICES, SHIPPED_SYSTEMS).unconfigured[0].variable == "NOT_SET_URL"


def test_a_row_that_never_idles_a_backend_may_match_any_text() -> None:
    rows = """signatures = [
        { failure_class = "client", statuses = [400], body = "bad", note = "n" },
        { failure_class = "cold", statuses = [503], body = "loading", note = "n" },
    ]"""
    assert [row.body for row in read("openai", rows).signatures] == ["bad", "loading"]


@pytest.mark.parametrize(
    ("body", "text"),
    [("Rate exceeded", "Rate exceeded."), ("not yet ready for inference", "Model is not yet ready for inference.")],
)
def test_the_rows_of_an_earlier_fleet_file_are_read_as_their_anchored_forms(body: str, text: str) -> None:
    row = f'{{ failure_class = "cold", statuses = [429], body = "{body}", note = "starting" }}'
    rows = read("openai", f"signatures = [{row}]").signatures

    def found(answer: str) -> FailureClass:
        return diagnose(Failure(kind=FailureKind.STATUS, status=429, body=answer), rows).failure_class

    assert found(text) is FailureClass.COLD
    assert found(f"Bad request: {text}") is FailureClass.THROTTLED


def test_a_file_of_systems_names_its_mistakes() -> None:
    with pytest.raises(ConfigurationError) as caught:
        systems_from_toml("[systems.a]\nurl = 'x'\n[models.b]\n")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["systems.a.url", "models"]


def test_the_handbook_has_a_section_for_every_shipped_system_and_names_every_field() -> None:
    described = set(re.findall(r"^\| `([a-z0-9.-]+)` \|", shipped_text("docs/backends.md"), re.MULTILINE))
    assert set(SHIPPED_SYSTEMS) - described == set()
    fields = {
        "headers",
        "probe",
        "output_limit",
        "sampling",
        "streams",
        "reasoning_input",
        "logprobs",
        *Probe.__struct_fields__,
    }
    assert {name for name in fields if f"{name}`" not in shipped_text("docs/fleet.md")} == set()


def test_a_wire_that_cannot_continue_an_answer_says_so() -> None:
    (problem,) = problems_of("openai-responses", 'continues = "assistant_prefill"')
    assert problem.startswith("backends.one.continues: expected no: the adapter responses cannot continue an answer")


def test_a_wire_without_a_form_for_a_service_tier_says_so() -> None:
    (problem,) = problems_of("sagemaker-invocations", 'service_tier = "flex"\nauth = { region = "us-east-1" }')
    assert problem.startswith("backends.one.service_tier: expected none: the adapter sagemaker has no form for a tier")


@pytest.mark.parametrize("mode", ["yes", "text"])
def test_a_wire_without_a_form_for_log_probabilities_says_so(mode: str) -> None:
    (problem,) = problems_of("openai-responses", f'logprobs = "{mode}"')
    assert problem.startswith("backends.one.logprobs: expected no: the adapter responses has no form for log probab")


def test_the_address_of_an_invoked_function_names_the_function() -> None:
    (problem,) = problems_of("lambda-invoke", REGION)
    assert problem.startswith("backends.one.url: expected https://lambda.REGION.amazonaws.com/functions/NAME")
