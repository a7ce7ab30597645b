"""What plays on a stage: which options, which models, and by which commands?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from standins.cosmos.provisioning import COSMOS, command
from standins.issuer.federation import SERVICE_ACCOUNT
from standins.paths import ROOT
from standins.processes.child_process import python

type Model = Literal["real", "scripted"]
type Store = Literal["sqlite", "cosmos"]
MODELS = ("real", "scripted")
STORES = ("sqlite", "cosmos")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`port` 0 takes a free one; `data` None is .run/<port>; `rate` and `first_token_s` pace the scripted models.

    `cold` is the start of a GPU that sleeps, in seconds (5, or 3-9); empty leaves that GPU out. `gpu` are more options
    of standins.cloud_run. `awake` keeps the models that never sleep on the stage as well.
    """

    port: int = 0
    data: Path | None = None
    model: Model = "scripted"
    store: Store = "sqlite"
    rate: float = 50.0
    first_token_s: float = 0.0
    cold: str = ""
    gpu: Sequence[object] = ()
    awake: bool = False
    host: bool = True
    app: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    say: Callable[[str], None] = lambda _line: None


IDENTITY = "identity"
PRIVATE_DATA = "private-data"
GOOGLE_KEYS = "/oauth2/v3/certs"


def service_commands(options: Options, data: Path) -> dict[str, list[str]]:
    """Gives what the models and the application rest on."""
    cosmos = {COSMOS: command(data)} if options.store == COSMOS else {}
    given = {IDENTITY: python("standins.issuer", "--data", data), PRIVATE_DATA: python("standins.private_data")}
    return given | cosmos


def model_commands(options: Options, data: Path, issuer: str) -> dict[str, list[str]]:
    """Gives the command of each model; `issuer` is where the keys of the callers' ID tokens are."""
    awake = awake_commands(options) if options.awake or not options.cold else {}
    return {**awake, **(sleeping_commands(options, data, issuer) if options.cold else {})}


def awake_commands(options: Options) -> dict[str, list[str]]:
    if options.model == "real":
        return {
            "laptop-small": python("standins.llama", "--context", 2048),
            "laptop-large": python("standins.llama", "--context", 8192),
        }
    pace = pace_of(options)
    return {
        "scripted": python("standins.scripted", *pace),
        "scripted-afresh": python("standins.scripted", *pace, "--no-continue"),
    }


def sleeping_commands(options: Options, data: Path, issuer: str) -> dict[str, list[str]]:
    gate = ("--keys", issuer + GOOGLE_KEYS, "--invoker", SERVICE_ACCOUNT)
    if options.model == "real":
        model = python("standins.llama", "--context", 4096, "--slots", 2)
        return {"laptop-gpu": gpu_command(options, data / "laptop-gpu", gate, model, concurrency=2)}
    model = python("standins.scripted", *pace_of(options))
    return {"scripted-gpu": gpu_command(options, data / "scripted-gpu", gate, model, concurrency=8)}


def gpu_command(
    options: Options, data: Path, gate: Sequence[str], model: Sequence[str], *, concurrency: int
) -> list[str]:
    given = ("--start", options.cold, "--concurrency", concurrency, *gate, *options.gpu, "--data", data)
    return [*python("standins.cloud_run", *given), "--", *model]


def pace_of(options: Options) -> tuple[object, ...]:
    return ("--rate", options.rate, "--first-token-s", options.first_token_s)
