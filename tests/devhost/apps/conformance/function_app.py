"""One app with everything: bound methods, streams, activities, an orchestrator, a timer and a catch-all together."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

type Handler = Callable[..., Any]


def guarded(handler: Handler) -> Handler:
    """The one place that answers for what a handler did not expect."""

    @functools.wraps(handler)
    async def guard(*args: Any, **kwargs: Any) -> Response:
        try:
            return await handler(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the entry point of every request
            return JSONResponse({"error": str(error)}, status_code=500)

    return guard


class Door:
    """HTTP functions as methods."""

    async def start(self, req: Request, client: str) -> Response:
        given = await req.json()
        durable: Any = client
        instance = await durable.start_new("story", given.get("id"), given["words"])
        return JSONResponse(durable.create_http_management_payload(instance), status_code=202)

    async def fails(self, req: Request) -> Response:
        raise ValueError("not expected")

    async def ticks(self, req: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            for _ in range(int(req.path_params["count"])):
                yield f"data: {time.monotonic()}\n\n"
                await asyncio.sleep(0.02)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def blocks(self, req: Request) -> Response:
        time.sleep(0.5)  # noqa: ASYNC251 - that it stops everything else is what the test wants to see
        return JSONResponse({})

    async def follows(self, req: Request, client: str) -> Response:
        """Asks its durable client after it has returned."""
        durable: Any = client

        async def statuses() -> AsyncIterator[str]:
            yield "begun\n"
            found = await durable.get_status(req.path_params["instance"])
            yield f"{found.runtime_status.name}\n"

        return StreamingResponse(statuses())


@dataclass(slots=True, kw_only=True)
class Steps:
    """Activities as methods that share something."""

    mark: str

    async def emphasise(self, word: str) -> str:
        await asyncio.sleep(0)
        return word + self.mark

    async def join(self, words: Any) -> str:
        return " ".join(words)

    async def nightly(self, timer: func.TimerRequest, client: str) -> None:
        durable: Any = client
        await durable.start_new("story", "by-the-timer", ["night"])


def story(context: Any) -> Generator[Any, Any, Any]:
    words = yield context.task_all([context.call_activity("emphasise", word) for word in context.get_input()])
    return (yield context.call_activity("join", words))


async def anything(req: Request) -> Response:
    return JSONResponse({"method": req.method, "path": req.path_params.get("path")}, status_code=404)


def build() -> Any:
    app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    door, steps = Door(), Steps(mark="!")
    start = app.durable_client_input(client_name="client")(guarded(door.start))
    app.function_name("http_join")(app.route(route="stories", methods=["POST"])(start))
    app.route(route="fails", methods=["GET"])(guarded(door.fails))
    app.route(route="ticks/{count:int}", methods=["GET"])(guarded(door.ticks))
    app.route(route="blocks", methods=["GET"])(guarded(door.blocks))
    follows = app.durable_client_input(client_name="client")(guarded(door.follows))
    app.route(route="follows/{instance}", methods=["GET"])(follows)
    app.activity_trigger(input_name="word")(steps.emphasise)
    app.activity_trigger(input_name="words", activity="join")(steps.join)
    app.orchestration_trigger(context_name="context")(story)
    nightly = app.durable_client_input(client_name="client")(steps.nightly)
    app.timer_trigger(arg_name="timer", schedule="0 0 3 1 1 *")(nightly)
    app.function_name("zz_unknown")(app.route(route="{*path}")(guarded(anything)))
    return app


app = build()
