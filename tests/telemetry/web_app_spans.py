"""Which spans and metrics does a request leave behind, where the worker's web framework finds global providers?

It prints them as JSON. It is a program of its own: a process has global providers once.
"""

import asyncio
import json

import httpx
from azurefunctions.extensions.http.fastapi import Request, Response, WebApp
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.builtin_pages import remove_builtin_pages


async def answer(request: Request) -> Response:
    return Response("ours")


async def main() -> None:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    remove_builtin_pages()
    web = WebApp()
    web.route(answer)  # pyright: ignore[reportUnknownMemberType] - the extension's signature
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.get_app()), base_url="http://worker") as http:
        await http.get("/v1/chat/completions?metadata[a]=canary&access_token=canary")
    found = reader.get_metrics_data()
    print(json.dumps([[span.name for span in spans.get_finished_spans()], found.to_json() if found else ""]))  # noqa: T201 - its answer


if __name__ == "__main__":
    asyncio.run(main())
