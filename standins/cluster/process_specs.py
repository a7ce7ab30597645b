"""Which processes belong to a local cluster, and which commands start them?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from standins.cosmos.provisioning import COSMOS, command
from standins.issuer.federation import SERVICE_ACCOUNT
from standins.paths import ROOT
from standins.processes.child_process import python_command

type ModelKind = Literal["real", "scripted"]
type StoreKind = Literal["sqlite", "cosmos"]
MODELS = ("real", "scripted")
STORES = ("sqlite", "cosmos")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """`port` 0 takes a free one; `data` None is .run/<port>; `rate` and `first_token_s` pace the scripted models.

    `systems` adds the stand-ins of all inference systems. `cold` is the start-up time of a GPU that scales to zero,
    in seconds (5, or a range, 3-9); empty leaves that GPU out. `gpu` are more options of standins.cloud_run.
    `warm_models` adds the always-warm models to a cluster with a GPU. `report` gets a line for each step of the start.
    """

    port: int = 0
    data: Path | None = None
    model: ModelKind = "scripted"
    store: StoreKind = "sqlite"
    rate: float = 50.0
    first_token_s: float = 0.0
    cold: str = ""
    gpu: Sequence[object] = ()
    warm_models: bool = False
    systems: bool = False
    host: bool = True
    app: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    report: Callable[[str], None] = lambda _line: None


IDENTITY = "identity"
PRIVATE_DATA = "private-data"
SHOP = "shop"
SYSTEMS = "systems"
GOOGLE_KEYS = "/oauth2/v3/certs"


def service_commands(options: ClusterOptions, data: Path) -> dict[str, list[str]]:
    """Gives the command of each service that the models and the application need."""
    cosmos = {COSMOS: command(data)} if options.store == COSMOS else {}
    services = {
        IDENTITY: python_command("standins.issuer", "--data", data),
        PRIVATE_DATA: python_command("standins.private_data"),
        SHOP: python_command("standins.tools"),
    }
    return services | cosmos


def model_commands(options: ClusterOptions, data: Path, issuer: str) -> dict[str, list[str]]:
    """Gives the command of each model; `issuer` is the address that publishes the keys of the callers' ID tokens."""
    warm = warm_model_commands(options) if options.warm_models or not options.cold else {}
    doors = (
        {SYSTEMS: python_command("standins.systems", "--rate", options.rate, "--data", data)} if options.systems else {}
    )
    return {**warm, **doors, **(gpu_model_commands(options, data, issuer) if options.cold else {})}


def warm_model_commands(options: ClusterOptions) -> dict[str, list[str]]:
    if options.model == "real":
        return {
            "laptop-small": python_command("standins.llama", "--context", 2048),
            "laptop-large": python_command("standins.llama", "--context", 8192),
        }
    pace = pace_options(options)
    return {
        "scripted": python_command("standins.scripted", *pace),
        "scripted-afresh": python_command("standins.scripted", *pace, "--no-continue"),
    }


def gpu_model_commands(options: ClusterOptions, data: Path, issuer: str) -> dict[str, list[str]]:
    access = ("--keys", issuer + GOOGLE_KEYS, "--invoker", SERVICE_ACCOUNT)
    if options.model == "real":
        model = python_command("standins.llama", "--context", 4096, "--slots", 2)
        return {"laptop-gpu": gpu_command(options, data / "laptop-gpu", access, model, concurrency=2)}
    model = python_command("standins.scripted", *pace_options(options))
    return {"scripted-gpu": gpu_command(options, data / "scripted-gpu", access, model, concurrency=8)}


def gpu_command(
    options: ClusterOptions, data: Path, access: Sequence[str], model: Sequence[str], *, concurrency: int
) -> list[str]:
    arguments = ("--start", options.cold, "--concurrency", concurrency, *access, *options.gpu, "--data", data)
    return [*python_command("standins.cloud_run", *arguments), "--", *model]


def pace_options(options: ClusterOptions) -> tuple[object, ...]:
    return ("--rate", options.rate, "--first-token-s", options.first_token_s)


def on_port(command: list[str], port: int) -> list[str]:
    """Adds the port to the stand-in's own options, before the `--` that begins the command of its model."""
    end = command.index("--") if "--" in command else len(command)
    return [*command[:end], "--port", str(port), *command[end:]]
