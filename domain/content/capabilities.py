"""What can a request need that not every backend offers?"""

from enum import StrEnum


class Capability(StrEnum):
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    IMAGE_ADDRESS = "image_address"
    """It takes images by their address. This is a property of a backend, not of a model."""
    LOGPROBS = "logprobs"
    """It returns log probabilities of tokens. This too is a property of a backend."""
    REASONING = "reasoning"
    FREQUENCY_PENALTY = "frequency_penalty"
    LOGIT_BIAS = "logit_bias"
    PRESENCE_PENALTY = "presence_penalty"
    SEED = "seed"
    STOP = "stop"
    VERBOSITY = "verbosity"
