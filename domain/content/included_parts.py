"""Which parts of an answer are only sent where the caller asks for them?"""

from enum import StrEnum


class IncludedPart(StrEnum):
    ENCRYPTED_REASONING = "reasoning.encrypted_content"
    """The reasoning in a form that a caller can send back; only this service reads it."""
