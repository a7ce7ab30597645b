"""What does the file of the fleet say?"""

import re
from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from domain.config.backend_auth import read_auth
from domain.config.caller_rules_toml import read_auto_tiers, read_tenant_rules
from domain.config.request_fields import read_headers, read_probe, read_prompt_format, read_token_counting
from domain.config.scaling_rows.instances import check_scaling, read_instances, read_max_instances, shared_services
from domain.config.signature_rows import read_signature
from domain.config.systems_toml import SystemTable, merged, with_own_systems
from domain.config.toml_table import VARIABLE, TomlTable, document, expanded, good_url, plain_table
from domain.content.reasoning import ReasoningFormat, ReasoningInputMode
from domain.errors import ConfigurationError
from domain.fleet.catalog import (
    AUTO,
    CONTINUING,
    LAMBDA_FUNCTIONS,
    MAX_TIER,
    MIN_TIER,
    TIERED,
    Adapter,
    Backend,
    BackendLimits,
    Capability,
    ColdStart,
    ContinuationMode,
    Fleet,
    ImageMode,
    LogprobsMode,
    Model,
    OutputLimit,
    SamplingField,
    Speed,
    UnconfiguredBackend,
)
from domain.fleet.instances.scaling import Scaling
from domain.fleet.request_forms import ServiceTier
from domain.money.prices import Price, PriceSource, TimePrice, TokenPrice
from domain.tokens.estimates import kv_tokens

NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
UNPRICED: Final = TokenPrice(
    name="",
    origin=PriceSource(source="", date="", region=""),
    input=Decimal(0),
    cached_input=Decimal(0),
    output=Decimal(0),
)
"""Stands for a price that could not be read; the file is refused before it is used."""

NO_SYSTEMS: Final[Mapping[str, SystemTable]] = MappingProxyType({})


class Definitions(Struct, frozen=True, kw_only=True):
    """What a backend may refer to by name."""

    models: Mapping[str, Model]
    systems: Mapping[str, SystemTable]
    prices: Mapping[str, Price]
    variables: Mapping[str, str]


def fleet_from_toml(
    text: str,
    variables: Mapping[str, str],
    prices: Mapping[str, Price],
    systems: Mapping[str, SystemTable] = NO_SYSTEMS,
) -> Fleet:
    """Return the fleet: each backend with its price, `%NAME%` in its addresses replaced from the variables.

    `systems` are the shipped systems, which the file can override and extend.
    A backend whose variable is not set (or empty) is left out and listed in `unconfigured`. Raises ConfigurationError
    that names every mistake in the file, those of left-out backends included.
    """
    top = document(text, "fleet")
    known = Definitions(
        models={name: read_model(name, table) for name, table in top.tables("models")},
        systems=with_own_systems(top, systems),
        prices=prices,
        variables=variables,
    )
    backends: dict[str, Backend] = {}
    unconfigured: list[UnconfiguredBackend] = []
    residencies: set[str] = set()
    for name, own in top.tables("backends"):
        table = with_defaults(own, known.systems)
        backend = read_backend(name, table, known)
        missing = missing_variable(table, variables)
        residencies |= {backend.residency} if backend.residency else set()
        if missing is None:
            backends[name] = backend
        else:
            unconfigured.append(UnconfiguredBackend(backend=name, model=backend.model, variable=missing))
    callers = read_tenant_rules(top.table("callers"), residencies)
    auto = read_auto_tiers(top.table("auto"))
    top.close()
    top.problems.extend(shared_services(backends.values()))
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return Fleet(models=known.models, backends=backends, unconfigured=tuple(unconfigured), callers=callers, auto=auto)


def read_model(name: str, table: TomlTable) -> Model:
    check_name(name, table)
    shape = {"weights_gb", "layers", "kv_heads", "head_dim"}
    if given := shape & table.values.keys():
        missing = ", ".join(sorted(shape - given))
        if missing:
            table.problems.append(
                f"{table.path}: expected all of {', '.join(sorted(shape))} or none, without {missing}"
            )
    model = Model(
        name=name,
        context_tokens=table.whole("context_tokens"),
        tier=table.within("tier", MIN_TIER, MAX_TIER),
        capabilities=frozenset(table.choices("capabilities", Capability)),
        weights_gb=table.optional("weights_gb", table.above_zero),
        layers=table.optional("layers", table.whole),
        kv_heads=table.optional("kv_heads", table.whole),
        head_dim=table.optional("head_dim", table.whole),
        tokenizer=table.optional("tokenizer", table.text),
    )
    table.close()
    return model


def with_defaults(table: TomlTable, systems: Mapping[str, SystemTable]) -> TomlTable:
    """Return a backend's table with the defaults of its system."""
    name = table.values.get("system")
    system = systems.get(name) if isinstance(name, str) else None
    if system is None:
        return table
    return TomlTable(table.path, merged(system.defaults, table.values), table.problems)


def read_backend(name: str, table: TomlTable, known: Definitions) -> Backend:
    check_name(name, table)
    url = read_url(table, known.variables)
    system = member(table, "system", known.systems)
    rules = known.systems.get(system, SystemTable())
    model = member(table, "model", known.models)
    max_instances = read_max_instances(table)
    backend = Backend(
        name=name,
        model=model,
        system=system,
        adapter=table.choice("adapter", Adapter, Adapter.OPENAI),
        url=url,
        served_model=table.any_text("served_model", model),
        price=read_price(table, known.prices),
        limits=read_limits(table.table("limits", required=True), known.models.get(model)),
        speed=read_speed(table.table("speed", required=True)),
        auth=read_auth(table.table("auth"), url, known.variables),
        cold_start=read_cold(table.table("cold")),
        continues=table.choice("continues", ContinuationMode, ContinuationMode.NO),
        region=table.optional("region", table.text),
        residency=table.optional("residency", table.text),
        signatures=(*(read_signature(row) for row in table.rows("signatures")), *rules.signatures),
        finish_reasons=rules.finish_reasons,
        headers=read_headers(table, known.variables, in_use=missing_variable(table, known.variables) is None),
        probe=read_probe(table.table("probe")),
        output_limit=table.choice("output_limit", OutputLimit, OutputLimit.MAX_TOKENS),
        sampling=table.choices("sampling", SamplingField) if "sampling" in table.values else tuple(SamplingField),
        reasoning_input=table.choice("reasoning_input", ReasoningInputMode, ReasoningInputMode.NO),
        reasoning=table.choice("reasoning", ReasoningFormat, ReasoningFormat.FIELDS),
        streams=table.flag("streams", default=True),
        service_tier=table.optional("service_tier", lambda key: table.choice(key, ServiceTier)),
        images=table.choice("images", ImageMode, ImageMode.DATA),
        logprobs=table.choice("logprobs", LogprobsMode, LogprobsMode.NO),
        token_counting=read_token_counting(table.table("token_counting")),
        prompt=read_prompt_format(table.table("prompt")),
        scaling=table.choice("scaling", Scaling, Scaling.PROVIDER),
        instances=read_instances(table, known.variables, max_instances),
        max_instances=max_instances,
    )
    check_adapter(backend, table)
    check_scaling(backend, table)
    check_prompt(backend, table)
    table.close()
    return backend


def check_adapter(backend: Backend, table: TomlTable) -> None:
    if backend.continues is not ContinuationMode.NO and backend.adapter not in CONTINUING:
        table.report("continues", f"no: the adapter {backend.adapter} cannot continue an answer")
    if backend.logprobs is not LogprobsMode.NO and Capability.LOGPROBS in backend.inexpressible:
        table.report("logprobs", f"no: the adapter {backend.adapter} has no form for log probabilities")
    if backend.service_tier and backend.adapter not in TIERED:
        table.report("service_tier", f"none: the adapter {backend.adapter} has no form for a tier")
    if backend.cold_start.scales_to_zero and isinstance(backend.price, TimePrice) and backend.price.request:
        table.report("price", "a price without request: where calls are billed one by one, no session is")
    if backend.adapter is Adapter.LAMBDA and not backend.url.rpartition(LAMBDA_FUNCTIONS)[0]:
        table.report("url", "https://lambda.REGION.amazonaws.com/functions/NAME, which the adapter lambda needs")


def check_prompt(backend: Backend, table: TomlTable) -> None:
    form = backend.prompt
    if (backend.adapter is Adapter.PROMPT) != (form is not None):
        table.report("prompt", "a table of the adapter prompt, and of no other")
    if form is None:
        return
    if not form.template and backend.continues is not ContinuationMode.NO:
        table.report("continues", "no: only a prompt of a template can end with the beginning of the answer")
    if not form.output_tokens and backend.price.name and isinstance(backend.price, TokenPrice):
        table.report("price", "a price of time: prompt.output_tokens says that the server counts no tokens")


def member(table: TomlTable, key: str, known: Mapping[str, object]) -> str:
    """Read the name of something that the file must define."""
    name = table.text(key)
    if name and name not in known:
        table.report(key, f"one of the {key}s {', '.join(known) or 'of this file, which has none'}")
    return name


def read_price(table: TomlTable, prices: Mapping[str, Price]) -> Price:
    """Return the price that the table names; a stand-in where it names none, which is reported."""
    name = table.text("price")
    if name and name not in prices:
        table.report("price", "a price of the file of prices")
    return prices.get(name, UNPRICED)


def read_url(table: TomlTable, variables: Mapping[str, str]) -> str:
    """Read the address under which the adapter's paths lie, without a slash at its end."""
    raw = table.text("url")
    url = expanded(raw, variables).rstrip("/")
    if raw and not VARIABLE.search(url) and not good_url(url):
        shown = re.sub(r"//.*@", "//***@", url)
        table.problems.append(
            f"{table.name_of('url')}: expected http(s)://host[:port]/path, no user, query or fragment, found {shown!r}"
        )
    return url


def missing_variable(table: TomlTable, variables: Mapping[str, str]) -> str | None:
    """Return the first variable that the backend's addresses name and that is not set."""
    auth = plain_table(table.values.get("auth")) or {}
    instances = plain_table(table.values.get("instances")) or {}
    texts = (table.values.get("url"), auth.get("audience"), instances.get("service"), instances.get("url"))
    names = (name for text in texts if isinstance(text, str) for name in VARIABLE.findall(text))
    return next((name for name in names if not variables.get(name)), None)


def read_limits(table: TomlTable, model: Model | None) -> BackendLimits:
    """Read the limits; KV memory that the table does not name follows from the GPU and the model's shape."""
    limits = BackendLimits(
        context_tokens=table.whole("context_tokens"),
        max_output_tokens=table.whole("max_output_tokens"),
        concurrency=table.whole("concurrency"),
        request_timeout_s=table.above_zero("request_timeout_s"),
        request_bytes=table.optional("request_bytes", table.whole),
        gpu_memory_gb=table.optional("gpu_memory_gb", table.above_zero),
        kv_value_bytes=table.above_zero("kv_value_bytes", 2.0),
        kv_tokens=table.optional("kv_tokens", table.whole),
    )
    table.close()
    return replace(limits, kv_tokens=kv_tokens(model, limits)) if model and limits.kv_tokens is None else limits


def read_cold(table: TomlTable) -> ColdStart:
    cold = ColdStart(
        scales_to_zero=table.flag("scales_to_zero", default=False),
        p50_s=table.number("p50_s", 0.0),
        p99_s=table.number("p99_s", 0.0),
        warm_up_hold_s=table.number(table.key_of("warm_up_hold_s", "wake_hold_s"), 2.0),
        abandoned_starts=table.flag("abandoned_starts", default=True),
        idle_s=table.number(table.key_of("idle_s", "tail_s"), 0.0),
    )
    if cold.p99_s < cold.p50_s:
        table.report("p99_s", "no less than p50_s")
    table.close()
    return cold


def read_speed(table: TomlTable) -> Speed:
    speed = Speed(
        prefill_tokens_s=table.above_zero("prefill_tokens_s"),
        decode_tokens_s=table.above_zero("decode_tokens_s"),
    )
    table.close()
    return speed


def check_name(name: str, table: TomlTable) -> None:
    if not NAME.fullmatch(name) or name == AUTO:
        table.problems.append(
            f"{table.path}: expected a name of small letters, digits, dots and dashes, not {AUTO!r}, found {name!r}"
        )
