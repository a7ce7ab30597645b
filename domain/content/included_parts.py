"""Which parts of an answer are only sent where the caller asks for them?"""

from enum import StrEnum


class IncludedPart(StrEnum):
    SEARCH_RESULTS = "file_search_call.results"
    """The rows that a search of private data has found."""

    ENCRYPTED_REASONING = "reasoning.encrypted_content"
    """The reasoning in a form that a caller can send back; only this service reads it."""
