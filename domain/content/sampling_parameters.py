"""Which parameters does a backend take as they are, and what must its model be able to do for that?

They have the names and values of Chat Completions, which every backend speaks.
"""

from collections.abc import Mapping
from typing import Any, Final

from domain.content.capabilities import Capability

ABILITIES: Final[Mapping[str, Capability]] = {
    "frequency_penalty": Capability.FREQUENCY_PENALTY,
    "logit_bias": Capability.LOGIT_BIAS,
    "presence_penalty": Capability.PRESENCE_PENALTY,
    "reasoning_effort": Capability.REASONING,
    "seed": Capability.SEED,
    "stop": Capability.STOP,
    "verbosity": Capability.VERBOSITY,
}

NEUTRAL: Final[Mapping[str, Any]] = {"reasoning_effort": "none", "verbosity": "medium"}
"""What a model does that knows nothing of a parameter."""


def needed_capabilities(parameters: Mapping[str, Any]) -> Mapping[str, Capability]:
    """Return the parameters that not every model does as they say, and the ability that each needs."""
    return {name: ABILITIES[name] for name, value in parameters.items() if value != NEUTRAL.get(name)}


def supported_parameters(parameters: Mapping[str, Any], abilities: frozenset[Capability]) -> dict[str, Any]:
    """Return the parameters that a model with these abilities is to be told."""
    return {name: value for name, value in parameters.items() if ABILITIES[name] in abilities}
