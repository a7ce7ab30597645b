"""Which sampling parameters are passed to a backend unchanged, and which capability does each one need?

Their names and values are those of the Chat Completions API, which every backend implements.
"""

from collections.abc import Mapping
from typing import Any, Final

from domain.content.capabilities import Capability

ABILITIES: Final[Mapping[str, Capability]] = {
    "frequency_penalty": Capability.FREQUENCY_PENALTY,
    "logit_bias": Capability.LOGIT_BIAS,
    "logprobs": Capability.LOGPROBS,
    "presence_penalty": Capability.PRESENCE_PENALTY,
    "reasoning_effort": Capability.REASONING,
    "seed": Capability.SEED,
    "stop": Capability.STOP,
    "top_logprobs": Capability.LOGPROBS,
    "verbosity": Capability.VERBOSITY,
}

NEUTRAL: Final[Mapping[str, Any]] = {"reasoning_effort": "none", "verbosity": "medium"}
"""The value that equals the behaviour of a model that does not know the parameter."""


def needed_capabilities(parameters: Mapping[str, Any]) -> Mapping[str, Capability]:
    """Return the parameters that only some models support, and the capability that each one needs."""
    return {name: ABILITIES[name] for name, value in parameters.items() if value != NEUTRAL.get(name)}


def supported_parameters(parameters: Mapping[str, Any], abilities: frozenset[Capability]) -> dict[str, Any]:
    """Return the parameters that a model with these capabilities supports."""
    return {name: value for name, value in parameters.items() if ABILITIES[name] in abilities}
