"""Which outcome of a call is an answer of its server?"""

from clients.tools.port import AnsweredBy, ToolAnswer
from domain.tools.call_record import CallOutcome
from domain.tools.catalog import ServerTool
from domain.tools.outcomes import completed, failed, failed_over_http, failed_over_protocol
from domain.tools.results import bounded


def outcome_of(tool: ServerTool, answer: ToolAnswer) -> CallOutcome:
    if answer.is_success:
        output = bounded(answer.text, tool.max_result_tokens)
        return completed(output, whole=0 if output == answer.text else len(answer.text), images=answer.images)
    if answer.by is AnsweredBy.TOOL:
        return failed(bounded(answer.text, tool.max_result_tokens))
    if answer.by is AnsweredBy.PROTOCOL:
        return failed_over_protocol(answer.status, bounded(answer.text, tool.max_result_tokens))
    detail = f": {answer.text}" if answer.text else "."
    message = bounded(f"The server answered with status {answer.status}{detail}", tool.max_result_tokens)
    return failed_over_http(answer.status, message)
