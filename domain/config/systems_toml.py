"""What do the tables of inference systems say: how is each one called, and what do its failures mean?

A system's table holds defaults for its backends. The shipped tables are in `systems.toml`; a table of the same name in
the operator's fleet file overrides single fields, and its signatures are tried first.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from domain.config.signature_rows import read_signature
from domain.config.toml_table import TomlTable, document, plain_table
from domain.errors import ConfigurationError
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import FailureSignature

BACKEND_DEFAULTS: Final = (
    "adapter",
    "auth",
    "cold",
    "continues",
    "headers",
    "limits",
    "logprobs",
    "output_limit",
    "probe",
    "prompt",
    "reasoning",
    "reasoning_input",
    "sampling",
    "served_model",
    "streams",
    "token_counting",
)
"""The fields of a backend that its system can give. They are validated with each backend that uses them."""

MERGED: Final = ("auth", "cold", "headers", "limits", "prompt")
"""The tables of which a backend can override single fields. Every other field replaces the default as a whole."""


class SystemTable(Struct, frozen=True, kw_only=True):
    """One system: the defaults of its backends as they are in the file, and what its answers mean."""

    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    signatures: tuple[FailureSignature, ...] = ()
    finish_reasons: Mapping[str, FinishReason] = field(default_factory=dict[str, FinishReason])

    def overridden_by(self, other: "SystemTable") -> "SystemTable":
        return SystemTable(
            defaults=merged(self.defaults, other.defaults),
            signatures=(*other.signatures, *self.signatures),
            finish_reasons={**self.finish_reasons, **other.finish_reasons},
        )


def systems_from_toml(text: str) -> Mapping[str, SystemTable]:
    """Return the tables of a file that holds systems only. Raises ConfigurationError that names every mistake."""
    top = document(text, "systems")
    found = {name: read_system(table) for name, table in top.tables("systems")}
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return found


def with_own_systems(top: TomlTable, shipped: Mapping[str, SystemTable]) -> Mapping[str, SystemTable]:
    """Return the shipped systems, overridden and extended by those of a fleet file."""
    own = {name: read_system(table) for name, table in top.tables("systems")}
    return {**shipped, **{name: shipped.get(name, SystemTable()).overridden_by(table) for name, table in own.items()}}


def read_system(table: TomlTable) -> SystemTable:
    reasons = table.table("finish_reasons")
    table.known.update(BACKEND_DEFAULTS)
    system = SystemTable(
        defaults={key: table.values[key] for key in BACKEND_DEFAULTS if key in table.values},
        signatures=tuple(read_signature(row) for row in table.rows("signatures")),
        finish_reasons={word: reasons.choice(word, FinishReason) for word in reasons.values},
    )
    table.close()
    return system


def merged(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values over defaults. Credentials of another kind replace the default ones as a whole."""
    found = {**defaults, **values}
    for key in MERGED:
        usual, own = plain_table(defaults.get(key)), plain_table(values.get(key))
        if usual is not None and own is not None and not (key == "auth" and is_other_kind(usual, own)):
            found[key] = {**without_former_names(usual, own), **own}
    return found


FORMER_NAMES: Final = {"wake_hold_s": "warm_up_hold_s", "tail_s": "idle_s"}


def without_former_names(usual: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults without those that the file overrides by a field's former name."""
    renamed = {FORMER_NAMES.get(key, key) for key in own}
    return {key: value for key, value in usual.items() if key not in renamed}


def is_other_kind(usual: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    return own.get("kind", usual.get("kind")) != usual.get("kind")
