"""Is the file of the fleet read as its schema says, and is every mistake in it named?"""

import pytest

from domain.config.fleet_toml import fleet_from_toml
from domain.errors import ConfigurationError
from domain.fleet.caller_rules import AutoTiers
from domain.fleet.catalog import (
    Adapter,
    Auth,
    AuthKind,
    BackendLimits,
    Capability,
    ColdStart,
    ContinuationMode,
    FinishReason,
    Model,
    Speed,
    UnconfiguredBackend,
)
from domain.fleet.failure_classes import FailureClass, FailureKind, FailureSignature
from domain.fleet.request_forms import Probe
from domain.routing.filters import (
    COST_FILTERS,
    DEMAND_FILTERS,
    DURATION_FILTERS,
    MODEL_FILTERS,
    PAUSE_FILTERS,
    WARM_UP_FAILED,
)
from domain.tokens.estimates import kv_bytes_per_token
from tests.domain.fleets import CLOUDS, LAPTOP, PRICES, SHIPPED_PRICES, SHIPPED_SYSTEMS, shipped_text

SHIPPED = shipped_text("fleet.toml")

GOOD = """
[models.small]
context_tokens = 8192
tier = 1

[systems.vllm]
signatures = [{ failure_class = "cold", kinds = ["refused"], note = "loading" }]

[backends.one]
model = "small"
system = "vllm"
url = "http://%HOST_OF_ONE%:8000/v1/"
price = "gpu"
limits = { context_tokens = 4096, max_output_tokens = 1024, concurrency = 4, request_timeout_s = 600 }
speed = { prefill_tokens_s = 1000, decode_tokens_s = 50 }
"""

VARIABLES = {"HOST_OF_ONE": "127.0.0.1"}


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(text, VARIABLES, PRICES)
    return caught.value.problems


def test_a_minimal_backend_gets_the_defaults() -> None:
    one = fleet_from_toml(GOOD, VARIABLES, PRICES).backends["one"]
    assert one.url == "http://127.0.0.1:8000/v1"
    assert one.served_model == "small"
    assert one.adapter is Adapter.OPENAI
    assert one.auth.kind is AuthKind.NONE
    assert one.continues is ContinuationMode.NO
    assert not one.cold_start.scales_to_zero
    assert one.cold_start.warm_up_hold_s == 2
    assert one.signatures == (
        FailureSignature(failure_class=FailureClass.COLD, kinds=(FailureKind.REFUSED,), note="loading"),
    )


def test_a_backend_s_own_rows_come_before_those_of_its_system() -> None:
    own = 'signatures = [{ failure_class = "throttled", statuses = [503], body = "busy", delay_s = 3, note = "busy" }]'
    rows = fleet_from_toml(f"{GOOD}{own}\n", VARIABLES, PRICES).backends["one"].signatures
    assert [row.note for row in rows] == ["busy", "loading"]
    assert rows[0].delay_s == 3


def test_a_system_maps_its_own_finish_reasons_for_each_of_its_backends() -> None:
    own = 'finish_reasons = { eos_token = "stop", "max tokens" = "length" }'
    one = fleet_from_toml(GOOD.replace("[systems.vllm]", f"[systems.vllm]\n{own}"), VARIABLES, PRICES).backends["one"]
    assert one.finish_reasons == {"eos_token": FinishReason.STOP, "max tokens": FinishReason.LENGTH}
    assert fleet_from_toml(GOOD, VARIABLES, PRICES).backends["one"].finish_reasons == {}


@pytest.mark.parametrize("value", ['"abort"', "1", '""'])
def test_a_finish_reason_can_only_mean_one_that_ends_an_answer_well(value: str) -> None:
    text = GOOD.replace("[systems.vllm]", f"[systems.vllm]\nfinish_reasons = {{ eos_token = {value} }}")
    expected = "systems.vllm.finish_reasons.eos_token: expected one of stop, length, tool_calls, function_call"
    (problem,) = problems_of(text)
    assert problem.startswith(expected)


def test_finish_reasons_are_a_table() -> None:
    text = GOOD.replace("[systems.vllm]", '[systems.vllm]\nfinish_reasons = ["eos_token"]')
    assert problems_of(text) == ("systems.vllm.finish_reasons: expected a table, found ['eos_token']",)


@pytest.mark.parametrize("variables", [{}, {"HOST_OF_ONE": ""}])
def test_a_backend_without_its_variable_is_left_out_and_listed(variables: dict[str, str]) -> None:
    found = fleet_from_toml(GOOD, variables, PRICES)
    assert found.backends == {}
    assert found.unconfigured == (UnconfiguredBackend(backend="one", model="small", variable="HOST_OF_ONE"),)
    assert found.served_models() == ()


def test_a_variable_of_the_audience_must_be_set_too() -> None:
    auth = 'auth = { kind = "google_id_token", audience = "https://%AUDIENCE%" }'
    text = GOOD.replace("http://%HOST_OF_ONE%:8000", "https://%HOST_OF_ONE%") + auth
    assert fleet_from_toml(text, VARIABLES, PRICES).unconfigured[0].variable == "AUDIENCE"
    one = fleet_from_toml(text, {**VARIABLES, "AUDIENCE": "service.example"}, PRICES).backends["one"]
    assert one.auth.audience == "https://service.example"


def test_a_google_id_token_is_for_the_origin_of_the_address() -> None:
    text = GOOD.replace("http://%HOST_OF_ONE%:8000", "https://%HOST_OF_ONE%") + 'auth = { kind = "google_id_token" }'
    one = fleet_from_toml(text, {"HOST_OF_ONE": "llama.run.app"}, PRICES).backends["one"]
    assert one.auth.audience == "https://llama.run.app"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("tier = 1", "tier = 6", "models.small.tier: expected a whole number from 1 to 5, found 6"),
        ("tier = 1", "", "models.small.tier: expected a whole number from 1 to 5, found nothing"),
        (
            "context_tokens = 8192",
            'context_tokens = "many"',
            "models.small.context_tokens: expected a whole number above 0, found 'many'",
        ),
        (
            "context_tokens = 8192",
            "context_tokens = true",
            "models.small.context_tokens: expected a whole number above 0, found True",
        ),
        (
            "tier = 1",
            'tier = 1\ncapabilities = ["fly"]',
            f"models.small.capabilities: expected a list of one of {', '.join(Capability)}, found ['fly']",
        ),
        (
            "tier = 1",
            "tier = 1\nlayers = 30",
            (
                "models.small: expected all of head_dim, kv_heads, layers, weights_gb or none, "
                "without head_dim, kv_heads, weights_gb"
            ),
        ),
        (
            "tier = 1",
            'tier = 1\ncolour = "red"',
            (
                "models.small.colour: expected one of the fields "
                "capabilities, context_tokens, head_dim, kv_heads, layers, tier, tokenizer, weights_gb"
            ),
        ),
        (
            "[models.small]",
            "[models.auto]",
            "models.auto: expected a name of small letters, digits, dots and dashes, not 'auto', found 'auto'",
        ),
        ('model = "small"', 'model = "big"', "backends.one.model: expected one of the models small, found 'big'"),
        ('system = "vllm"', 'system = "vlm"', "backends.one.system: expected one of the systems vllm, found 'vlm'"),
        ('price = "gpu"', "", "backends.one.price: expected text, found nothing"),
        (
            "http://%HOST_OF_ONE%:8000/v1/",
            "ftp://host/v1",
            "backends.one.url: expected http(s)://host[:port]/path, no user, query or fragment, found 'ftp://host/v1'",
        ),
        (
            "http://%HOST_OF_ONE%:8000/v1/",
            "http://me:secret@host/v1",
            (
                "backends.one.url: expected http(s)://host[:port]/path, no user, query or fragment, "
                "found 'http://***@host/v1'"
            ),
        ),
        (
            "concurrency = 4",
            "concurrency = 0",
            "backends.one.limits.concurrency: expected a whole number above 0, found 0",
        ),
        (
            "concurrency = 4",
            "concurrency = 4, kv_tokens = 0",
            "backends.one.limits.kv_tokens: expected a whole number above 0, found 0",
        ),
        (
            "decode_tokens_s = 50",
            "decode_tokens_s = 0",
            "backends.one.speed.decode_tokens_s: expected a number above 0, found 0",
        ),
        (
            "limits = {",
            "limit = {",
            "backends.one.limits: expected a table, found nothing",
        ),
        (
            'failure_class = "cold"',
            'failure_class = "icy"',
            (
                "systems.vllm.signatures[0].failure_class: "
                "expected one of cold, throttled, broken, indeterminate, unfit, client, found 'icy'"
            ),
        ),
        (
            'kinds = ["refused"]',
            'body = "x"',
            "systems.vllm.signatures[0]: expected statuses or kinds, found neither",
        ),
        (
            'kinds = ["refused"]',
            'kinds = ["refused"], body_pattern = "("',
            "systems.vllm.signatures[0].body_pattern: expected a regular expression, found '('",
        ),
    ],
)
def test_a_mistake_is_named_with_its_table_its_field_and_what_was_expected(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    assert problem in problems_of(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("addition", "problem"),
    [
        (
            'auth = { kind = "entra", scope = "s" }',
            "backends.one.auth: expected an https address to send a token to, found 'http://gpu.example:8000/v1'",
        ),
        ('auth = { kind = "entra" }', "backends.one.auth.scope: expected text, which entra needs, found nothing"),
        (
            'auth = { kind = "static_bearer" }',
            "backends.one.auth.setting: expected text, which static_bearer needs, found nothing",
        ),
        ("cold = { p50_s = 60, p99_s = 30 }", "backends.one.cold.p99_s: expected no less than p50_s, found 30"),
        ("cold = { p50_s = -1 }", "backends.one.cold.p50_s: expected a number of 0 or more, found -1"),
        ("cold = { p50_s = inf, p99_s = inf }", "backends.one.cold.p50_s: expected a number of 0 or more, found inf"),
    ],
)
def test_a_wrong_addition_is_named(addition: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(f"{GOOD}{addition}\n", {"HOST_OF_ONE": "gpu.example"}, PRICES)
    assert problem in caught.value.problems


def test_all_mistakes_of_a_file_come_in_one_error_even_those_of_a_backend_that_is_left_out() -> None:
    text = GOOD.replace("tier = 1", "tier = 9").replace("concurrency = 4", "concurrency = -4")
    text = text.replace('kinds = ["refused"]', 'kinds = ["rude"]').replace("HOST_OF_ONE", "NOT_SET")
    assert len(problems_of(text)) == 4


def test_a_token_may_go_to_this_machine_in_the_clear() -> None:
    text = f'{GOOD}auth = {{ kind = "static_bearer", setting = "TOKEN_OF_ONE" }}\n'
    assert fleet_from_toml(text, VARIABLES, PRICES).backends["one"].auth.setting == "TOKEN_OF_ONE"


def test_what_is_no_toml_is_said_to_be_none() -> None:
    (problem,) = problems_of("[models")
    assert problem.startswith("fleet: expected TOML, found ")


def test_the_shipped_file_runs_on_a_laptop() -> None:
    found = fleet_from_toml(SHIPPED, LAPTOP, SHIPPED_PRICES, SHIPPED_SYSTEMS)
    assert list(found.backends) == ["laptop-small", "laptop-large"]
    assert {each.backend for each in found.unconfigured} == {
        "scripted",
        "scripted-afresh",
        "laptop-gpu",
        "scripted-gpu",
        "cloud-run-l4",
        "azure-openai",
    }
    assert [model.name for model in found.served_models()] == ["smollm2-135m"]
    assert kv_bytes_per_token(found.models["smollm2-135m"]) == 23_040
    assert found.models["scripted"].capabilities == {Capability.TOOLS, Capability.JSON_SCHEMA, Capability.VISION}


def test_every_backend_of_the_shipped_file_has_a_price_and_keeps_its_promises() -> None:
    found = fleet_from_toml(SHIPPED, {**LAPTOP, **CLOUDS}, SHIPPED_PRICES, SHIPPED_SYSTEMS)
    assert found.unconfigured == ()
    assert found.backends["cloud-run-l4"].auth.audience == "https://llama-abc-uc.a.run.app"
    assert found.backends["scripted-afresh"].continues is ContinuationMode.NO
    for backend in found.backends.values():
        assert backend.url.endswith("/v1")
        assert backend.limits.context_tokens <= found.models[backend.model].context_tokens


def test_a_price_that_is_not_there_is_a_problem_with_its_backend_s_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(GOOD, VARIABLES, {})
    (problem,) = caught.value.problems
    assert problem == "backends.one.price: expected a price of the file of prices, found 'gpu'"


def test_the_example_of_the_handbook_can_be_added_to_the_shipped_file() -> None:
    examples = [each.split("```")[0] for each in shipped_text("docs/fleet.md").split("```toml\n")]
    rules, tiers, example = examples[1:4]
    variables = {"GANGLION_CLOUD_RUN_QWEN_URL": "https://qwen.run.app/v1"}
    found = fleet_from_toml(f"{SHIPPED}\n{example}\n{rules}\n{tiers}", variables, SHIPPED_PRICES, SHIPPED_SYSTEMS)
    (backend,) = found.backends.values()
    assert backend.auth.audience == "https://qwen.run.app"
    assert found.callers.of("11111111-1111-1111-1111-111111111111").residencies == {backend.residency}
    assert found.auto == AutoTiers(easy=1, medium=2, hard=3)


def test_the_handbook_names_every_filter_and_every_field() -> None:
    handbook = shipped_text("docs/fleet.md")
    rows = (*MODEL_FILTERS, *DEMAND_FILTERS, *PAUSE_FILTERS, *DURATION_FILTERS, *COST_FILTERS)
    codes = {f"`{name}`" for name in (WARM_UP_FAILED, *(row[0] for row in rows))}
    shapes = (Model, FailureSignature, BackendLimits, ColdStart, Speed, Auth, Probe)
    fields = {field for shape in shapes for field in shape.__struct_fields__} - {"name"}
    assert {word for word in codes | fields if word not in handbook} == set()


def test_memory_that_is_not_named_follows_from_the_gpu_and_the_shape_of_the_model() -> None:
    l4 = fleet_from_toml(SHIPPED, CLOUDS, SHIPPED_PRICES, SHIPPED_SYSTEMS).backends["cloud-run-l4"]
    assert l4.limits.kv_tokens == int((0.9 * 24 - 5.5) * 10**9 / (2 * 32 * 8 * 128 * 2))
    named = GOOD.replace("concurrency = 4", "concurrency = 4, gpu_memory_gb = 24, kv_tokens = 4096")
    assert fleet_from_toml(named, VARIABLES, PRICES).backends["one"].limits.kv_tokens == 4096
    shapeless = GOOD.replace("concurrency = 4", "concurrency = 4, gpu_memory_gb = 24")
    assert fleet_from_toml(shapeless, VARIABLES, PRICES).backends["one"].limits.kv_tokens is None


def test_a_gpu_that_has_no_memory_beside_the_weights_has_no_number_of_tokens() -> None:
    """The filter `memory` refuses its turns, and names the gigabytes."""
    shape = "tier = 1\nweights_gb = 5.5\nlayers = 32\nkv_heads = 8\nhead_dim = 128"
    tight = GOOD.replace("tier = 1", shape).replace("concurrency = 4", "concurrency = 4, gpu_memory_gb = 6")
    assert fleet_from_toml(tight, VARIABLES, PRICES).backends["one"].limits.kv_tokens is None


FORMER_NAMES = {"failure_class": "posture", "warm_up_hold_s": "wake_hold_s", "idle_s": "tail_s"}
WITH_COLD_START = GOOD + "cold = { scales_to_zero = true, p50_s = 5, p99_s = 60, warm_up_hold_s = 3, idle_s = 600 }\n"


def test_a_file_with_the_former_names_of_fields_reads_the_same() -> None:
    former = WITH_COLD_START
    for name, old in FORMER_NAMES.items():
        former = former.replace(f"{name} =", f"{old} =")
    assert former != WITH_COLD_START
    assert fleet_from_toml(former, VARIABLES, PRICES) == fleet_from_toml(WITH_COLD_START, VARIABLES, PRICES)


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("failure_class", '"cold"', "systems.vllm.signatures[0]"),
        ("warm_up_hold_s", "3", "backends.one.cold"),
        ("idle_s", "600", "backends.one.cold"),
    ],
)
def test_a_field_with_both_its_names_is_a_problem(name: str, text: str, path: str) -> None:
    former = FORMER_NAMES[name]
    both = WITH_COLD_START.replace(f"{name} = {text}", f"{name} = {text}, {former} = {text}")
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(both, VARIABLES, PRICES)
    (problem,) = caught.value.problems
    assert problem == f"{path}.{name}: expected either {name} or its former name {former}, found both; remove {former}"
