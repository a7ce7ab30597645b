"""An app of the streaming kind: what does the host's streaming side do with it?"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="hello", methods=["GET"])
async def hello(req: Request) -> Response:
    return JSONResponse({"hello": req.query_params.get("name", "world"), "pid": os.getpid()})


@app.route(route="ticks/{count:int}", methods=["GET"])
async def ticks(req: Request) -> StreamingResponse:
    count = int(req.path_params["count"])

    async def events() -> AsyncIterator[str]:
        for n in range(count):
            yield f"data: {n}\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: Request, client: df.DurableOrchestrationClient) -> Response:
    instance = await client.start_new(
        req.path_params["name"], instance_id=req.query_params.get("id"), client_input=await req.json()
    )
    return JSONResponse(client.create_http_management_payload(instance), status_code=202)


@app.orchestration_trigger(context_name="context")
def chain(context: Any) -> Generator[Any, Any, Any]:
    said: list[str] = yield context.task_all([context.call_activity("greet", n) for n in context.get_input()["names"]])
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    said.append((yield context.call_activity("slow", "end")))
    return said


@app.activity_trigger(input_name="name")
async def greet(name: str) -> str:
    return f"Hello {name}"


@app.activity_trigger(input_name="name")
def slow(name: str) -> str:
    time.sleep(0.5)
    return f"slow {name}"
