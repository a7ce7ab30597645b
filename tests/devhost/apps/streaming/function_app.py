"""An app of the streaming kind: what does the host's streaming side do with it?"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app: Any = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="hello", methods=["GET", "HEAD"])
async def hello(req: Request) -> Response:
    return JSONResponse({"hello": req.query_params.get("name", "world"), "pid": os.getpid()})


@app.route(route="ticks/{count:int}", methods=["GET"])
async def ticks(req: Request) -> Response:
    """Server-sent events; notes in the folder NOTES when its client has gone."""
    count = int(req.path_params["count"])

    async def events() -> AsyncIterator[str]:
        try:
            for n in range(count):
                yield f"data: {n}\n\n"
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            (Path(os.environ["NOTES"]) / "disconnected").write_text("yes", encoding="utf-8")
            raise

    return StreamingResponse(events(), media_type="text/event-stream")


@app.route(route="breaks", methods=["GET"])
async def breaks(req: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(0.05)
        raise RuntimeError("in the middle")

    return StreamingResponse(body())


@app.route(route="upload", methods=["POST", "PUT"])
async def upload(req: Request) -> Response:
    sizes = [len(chunk) async for chunk in req.stream()]
    seen = {"bytes": sum(sizes), "chunks": len(sizes), "length": req.headers.get("content-length")}
    return JSONResponse(seen | {"host": req.headers.get("x-forwarded-host"), "via": req.headers.get("connection")})


@app.route(route="small", methods=["POST"])
async def small(req: Request) -> Response:
    """Answers by the declared length alone."""
    return Response(status_code=413 if int(req.headers["content-length"]) > 1000 else 200)


@app.route(route="large", methods=["GET"])
async def large(req: Request) -> Response:
    return Response(b"x" * 1_000_000, media_type="application/octet-stream")


@app.route(route="cookies", methods=["GET"])
async def cookies(req: Request) -> Response:
    response = JSONResponse({})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@app.route(route="raises", methods=["GET"])
async def raises(req: Request) -> Response:
    raise ValueError("before the first byte")


@app.route(route="slow", methods=["GET"])
async def slow(req: Request) -> Response:
    await asyncio.sleep(10)
    return JSONResponse({})


@app.route(route="context", methods=["GET"])
async def trace(req: Request, context: func.Context) -> Response:
    return JSONResponse({"trace": context.trace_context.trace_parent, "invocation": context.invocation_id})


@app.route(route="{*path}")
async def zz_unknown(req: Request) -> Response:
    return JSONResponse({"path": req.path_params.get("path"), "method": req.method}, status_code=404)
