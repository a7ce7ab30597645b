"""An app in older words: generic decorators, outputs of other kinds, the first name of the durable client."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def activity(name: str) -> Any:
    """An activity that also sends a message, so that its result is no JSON."""

    def registered(function: Any) -> Any:
        bound = app.generic_trigger(arg_name="given", type="activityTrigger")(function)
        return app.function_name(name)(app.generic_output_binding(arg_name="message", type="twilioSms")(bound))

    return registered


@activity("text")
def text(given: str, message: func.Out[str]) -> str:
    message.set(f"to {given}")
    return "plain text"


@activity("truth")
def truth(given: str, message: func.Out[str]) -> bool:
    return True


@activity("some_bytes")
def some_bytes(given: str, message: func.Out[str]) -> bytes:
    return b"\x00\x01"


@activity("nothing")
def nothing(given: str, message: func.Out[str]) -> None:
    return None


@app.orchestration_trigger(context_name="context")
def asks_all(context: Any) -> Generator[Any, Any, Any]:
    names = ("text", "truth", "some_bytes", "nothing")
    return (yield context.task_all([context.call_activity(name, "x") for name in names]))


@app.function_name("starts")
@app.generic_trigger(arg_name="req", type="httpTrigger", route="starts", authLevel="anonymous", methods=["post"])
@app.generic_input_binding(arg_name="starter", type="orchestrationClient")
@app.generic_output_binding(arg_name="answer", type="http")
async def starts(req: func.HttpRequest, starter: str, answer: func.Out[func.HttpResponse]) -> None:
    client: Any = df.DurableOrchestrationClient(starter)
    answer.set(client.create_check_status_response(req, await client.start_new("asks_all")))
