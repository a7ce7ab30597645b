"""Which settings do the environment variables hold? They are read once, and one error lists every problem."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypedDict

from domain.config.environment import (
    PREFIX,
    EnvironmentReader,
    address_origin,
    dollar_amount,
    name_set,
    positive_number,
    positive_whole_number,
    share_of_whole,
)
from domain.files.storage_places import account_address, container_name
from domain.identity.federation import (
    IAM_URL,
    STS_URL,
    AwsFederation,
    Federation,
    provider_name,
    role_name,
    service_account_name,
)
from domain.money.budgets import OF_TENANTS, Budgets
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.values import Discreet

ROOT = Path(__file__).resolve().parent
ENTRA_AUTHORITY = "https://login.microsoftonline.com"


class Settings(Discreet, frozen=True, kw_only=True):
    """Durations are seconds, sizes are bytes. docs/operations.md lists every setting with its variable.

    `variables` is the whole environment; `names` are the variables that hold settings.
    """

    concealed: ClassVar = ("sealing_key", "variables")

    store: str
    data: Path
    fleet: Path
    prices: Path
    sources: Path
    sources_loopback: bool
    tools: Path
    pipelines: Path
    webhooks: Path
    webhooks_loopback: bool
    token_keys: Path | None
    token_authority: str
    token_audience: str
    token_tenants: frozenset[str]
    console_client_id: str | None
    operator_tenant: str | None
    identity_client_id: str | None
    obo_client_id: str | None
    sealing_key: bytes | None
    federation: Federation
    aws: AwsFederation
    telemetry: str
    telemetry_tenants: frozenset[str]
    limits: RateLimits
    budgets: Budgets
    budget_file: Path | None
    body_limit: int
    input_limit: int
    input_memory: int
    file_limit: int
    blob_url: str | None
    blob_container: str
    owner_files: int
    owner_file_bytes: int
    cache_s: float
    model_required: bool
    flush_s: float
    silence_s: float
    default_output_tokens: int
    deadline_s: float
    handover_s: float
    hold_s: float
    sync_wait_s: float
    stream_s: float
    sweep_unbegun_s: float
    sweep_silent_s: float
    sweep_unsettled_s: float
    variables: Mapping[str, str]
    names: frozenset[str]

    @property
    def on_azure(self) -> bool:
        """Whether the app runs on the platform, and not on a machine of its own."""
        return bool(self.variables.get("WEBSITE_INSTANCE_ID"))

    @property
    def behind_platform(self) -> bool:
        """Whether App Service Authentication is enabled."""
        return self.on_azure and self.variables.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"


class FileSettings(TypedDict):
    """The files that say what the app serves; each is shipped, and each can be another."""

    fleet: Path
    prices: Path
    sources: Path
    tools: Path
    pipelines: Path
    webhooks: Path


def read_files(reader: EnvironmentReader) -> FileSettings:
    def read(name: str) -> Path:
        return reader.value(name.upper(), default=str(ROOT / f"{name}.toml"), convert=existing_file)

    return {
        "fleet": read("fleet"),
        "prices": read("prices"),
        "sources": read("sources"),
        "tools": read("tools"),
        "pipelines": read("pipelines"),
        "webhooks": read("webhooks"),
    }


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from the environment variables. Raises ConfigurationError that lists every problem."""
    reader = EnvironmentReader(environment)
    store = reader.choice("STORE", ("sqlite", "cosmos"), default="sqlite")
    settings = Settings(
        store=store,
        data=reader.value("DATA", default=".run/7071", convert=Path),
        **read_files(reader),
        sources_loopback=reader.flag("SOURCES_LOOPBACK"),
        webhooks_loopback=reader.flag("WEBHOOKS_LOOPBACK"),
        token_keys=reader.optional("TOKEN_KEYS", convert=Path),
        token_authority=reader.value("TOKEN_AUTHORITY", default=ENTRA_AUTHORITY, convert=address_origin),
        token_audience=reader.value("TOKEN_AUDIENCE", convert=str),
        token_tenants=reader.value("TOKEN_TENANTS", convert=name_set),
        console_client_id=reader.optional("CONSOLE_CLIENT_ID", convert=str),
        operator_tenant=reader.optional("OPERATOR_TENANT", convert=str),
        identity_client_id=reader.optional("IDENTITY_CLIENT_ID", convert=str),
        obo_client_id=reader.optional("OBO_CLIENT_ID", convert=str),
        sealing_key=reader.key("SEALING_KEY"),
        federation=read_federation(reader),
        aws=read_aws(reader),
        telemetry=reader.choice("TELEMETRY", ("standard", "console", "none"), default="standard"),
        telemetry_tenants=reader.optional("TELEMETRY_TENANTS", convert=name_set) or frozenset(),
        limits=read_rate_limits(reader),
        budgets=read_budgets(reader),
        budget_file=reader.optional("BUDGETS", convert=existing_file),
        body_limit=reader.value("BODY_LIMIT", default="262144", convert=positive_whole_number),
        input_limit=reader.value("INPUT_LIMIT", default="16777216", convert=positive_whole_number),
        file_limit=reader.value("FILE_LIMIT", default="16777216", convert=positive_whole_number),
        blob_url=reader.optional("BLOB_URL", convert=account_address),
        blob_container=reader.value("BLOB_CONTAINER", default="ganglion-files", convert=container_name),
        owner_files=reader.value("OWNER_FILES", default="1000", convert=positive_whole_number),
        owner_file_bytes=reader.value("OWNER_FILE_BYTES", default="1073741824", convert=positive_whole_number),
        input_memory=reader.value("INPUT_MEMORY", default="134217728", convert=positive_whole_number),
        cache_s=reader.optional("CACHE_S", convert=positive_number) or 0.0,
        model_required=reader.flag("MODEL_REQUIRED"),
        flush_s=reader.value("FLUSH_S", default="0.05" if store == "sqlite" else "0.25", convert=positive_number),
        silence_s=reader.value("SILENCE_S", default="60", convert=positive_number),
        default_output_tokens=reader.value("DEFAULT_OUTPUT_TOKENS", default="1024", convert=positive_whole_number),
        deadline_s=reader.value("DEADLINE_S", default="1800", convert=positive_number),
        handover_s=reader.value("HANDOVER_S", default="480", convert=positive_number),
        hold_s=reader.value("HOLD_S", default="10", convert=positive_number),
        sync_wait_s=reader.value("SYNC_WAIT_S", default="200", convert=positive_number),
        stream_s=reader.value("STREAM_S", default="1500", convert=positive_number),
        sweep_unbegun_s=reader.value("SWEEP_UNBEGUN_S", default="30", convert=positive_number),
        sweep_silent_s=reader.value("SWEEP_SILENT_S", default="900", convert=positive_number),
        sweep_unsettled_s=reader.value("SWEEP_UNSETTLED_S", default="60", convert=positive_number),
        variables=dict(environment),
        names=frozenset(reader.names),
    )
    return checked(reader, settings)


def checked(reader: EnvironmentReader, settings: Settings) -> Settings:
    """Return the settings; raises ConfigurationError for every problem of one, or of several together."""
    reject_contradictions(reader, settings)
    reader.raise_problems()
    return settings


def reject_contradictions(reader: EnvironmentReader, settings: Settings) -> None:
    """Report settings that are wrong together, or wrong on Azure."""
    reject_two_key_sources(reader)
    reject_short_handover(reader, settings)
    reject_unknown_operator(reader, settings)
    if settings.on_azure:
        reject_local_on_azure(reader, settings)


def reject_two_key_sources(reader: EnvironmentReader) -> None:
    both = all(reader.environment.get(PREFIX + name) for name in ("TOKEN_KEYS", "TOKEN_AUTHORITY"))
    reader.reject(both, "TOKEN_KEYS", "set either this or GANGLION_TOKEN_AUTHORITY, not both")


def reject_unknown_operator(reader: EnvironmentReader, settings: Settings) -> None:
    unknown = settings.operator_tenant not in {None, *settings.token_tenants}
    reader.reject(unknown, "OPERATOR_TENANT", "expected one of the tenants in GANGLION_TOKEN_TENANTS")


def reject_short_handover(reader: EnvironmentReader, settings: Settings) -> None:
    """Reject a handover that would come before a held request is accepted: no attempt could write anything."""
    too_short = settings.handover_s <= settings.hold_s
    reader.reject(too_short, "HANDOVER_S", f"set it above GANGLION_HOLD_S ({settings.hold_s:g} s)")


def reject_local_on_azure(reader: EnvironmentReader, settings: Settings) -> None:
    """Reject settings that are only allowed on one machine, not on Azure."""
    reader.reject(settings.store == "sqlite", "STORE", "sqlite works on one machine only; set it to cosmos on Azure")
    reader.reject(
        settings.token_keys is not None, "TOKEN_KEYS", "a local signing key is not allowed on Azure; remove it"
    )
    reader.reject(
        settings.webhooks_loopback, "WEBHOOKS_LOOPBACK", "loopback webhooks are not allowed on Azure; remove it"
    )
    reader.reject(settings.sources_loopback, "SOURCES_LOOPBACK", "loopback sources are not allowed on Azure; remove it")
    addresses = {
        "TOKEN_AUTHORITY": settings.token_authority,
        "GOOGLE_STS_URL": settings.federation.sts_url,
        "GOOGLE_IAM_URL": settings.federation.iam_url,
        "AWS_STS_URL": settings.aws.sts_url or "https:",
    }
    for name, address in addresses.items():
        reader.reject(not address.startswith("https:"), name, "expected an https address: TLS is required on Azure")


def read_rate_limits(reader: EnvironmentReader) -> RateLimits:
    return RateLimits(
        owner=read_limit(reader, "OWNER", per_minute=600, burst=200, running=100),
        tenant=read_limit(reader, "TENANT", per_minute=3000, burst=600, running=400),
    )


def read_limit(reader: EnvironmentReader, scope: str, *, per_minute: int, burst: int, running: int) -> RateLimit:
    return RateLimit(
        per_minute=reader.value(f"{scope}_TURNS_PER_MINUTE", default=str(per_minute), convert=positive_number),
        burst=reader.value(f"{scope}_BURST", default=str(burst), convert=positive_whole_number),
        running=reader.value(f"{scope}_RUNNING", default=str(running), convert=positive_whole_number),
    )


def read_budgets(reader: EnvironmentReader) -> Budgets:
    limits = {scope: reader.optional(f"BUDGET_{scope.name}", convert=dollar_amount) for scope in OF_TENANTS}
    return Budgets(
        limits={scope: limit for scope, limit in limits.items() if limit is not None},
        warn_share=reader.value("BUDGET_WARN_SHARE", default="0.8", convert=share_of_whole),
        forecast=reader.optional("FORECAST_TENANT_DAY", convert=dollar_amount),
    )


def read_federation(reader: EnvironmentReader) -> Federation:
    return Federation(
        provider=reader.optional("GOOGLE_PROVIDER", convert=provider_name),
        scope=reader.optional("GOOGLE_SUBJECT_SCOPE", convert=str),
        service_account=reader.optional("GOOGLE_SERVICE_ACCOUNT", convert=service_account_name),
        sts_url=reader.value("GOOGLE_STS_URL", default=STS_URL, convert=address_origin),
        iam_url=reader.value("GOOGLE_IAM_URL", default=IAM_URL, convert=address_origin),
    )


def read_aws(reader: EnvironmentReader) -> AwsFederation:
    return AwsFederation(
        role=reader.optional("AWS_ROLE", convert=role_name),
        scope=reader.optional("AWS_SUBJECT_SCOPE", convert=str),
        sts_url=reader.optional("AWS_STS_URL", convert=address_origin),
    )


def existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("expected an existing file")
    return path
