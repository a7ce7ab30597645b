"""Does a complete answer have the format that the caller asked for?"""

from typing import Final

from domain.content.json_schema import parsed_json, schema_problem
from domain.content.tools import OutputFormat, OutputFormatKind

NO_JSON: Final = "it is not valid JSON"
NO_OBJECT: Final = "it is not a JSON object"


def format_problem(text: str, wanted: OutputFormat) -> str:
    """Return what is wrong with the answer, without its words; empty where nothing is.

    A schema that is not `strict` only guides the model: the answer must be JSON, but need not match.
    """
    if wanted.kind is OutputFormatKind.TEXT:
        return ""
    is_json, value = parsed_json(text)
    if not is_json:
        return NO_JSON
    if wanted.kind is OutputFormatKind.JSON_OBJECT:
        return "" if isinstance(value, dict) else NO_OBJECT
    return schema_problem(value, wanted.schema) if wanted.strict else ""
