"""Do ended responses and their streams have an entity tag, and is a caller that has it spared the content?"""

import asyncio

import httpx
import pytest

from tests.api.harness import Api, api, events_of
from tests.fakes.backends import FakeBackend, says

PATHS = ["", "?stream=true", "?stream=true&starting_after=2"]


async def ended() -> tuple[Api, str]:
    one = api()
    return one, f"/v1/responses/{(await one.create({'input': 'hi', 'model': 'auto'})).json()['id']}"


@pytest.mark.parametrize("query", PATHS)
async def test_an_ended_response_is_sent_once(query: str) -> None:
    one, path = await ended()
    first = await one.http.get(path + query)
    tag = first.headers["etag"]
    assert tag == f'"{tag[1:-1]}"'
    assert (await one.http.get(path + query)).headers["etag"] == tag
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await one.http.get(path + query, headers={"if-none-match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await one.http.get(path + query, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_each_part_of_a_stream_has_its_own_tag() -> None:
    one, path = await ended()
    tags = {(await one.http.get(path + query)).headers["etag"] for query in PATHS}
    assert len(tags) == len(PATHS)


@pytest.mark.parametrize("query", PATHS)
async def test_head_has_the_headers_of_get_and_no_content(query: str) -> None:
    one, path = await ended()
    get, head = await one.http.get(path + query), await one.http.head(path + query)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "cache-control"):
        assert head.headers[name] == get.headers[name]
    if not query:
        assert head.headers["content-length"] == get.headers["content-length"]
    assert (await one.http.head(path, headers={"if-none-match": "*"})).status_code == 304


async def test_a_running_response_has_no_tag() -> None:
    gate = asyncio.Event()
    one = api(FakeBackend([gate, *says("late")]))
    path = f"/v1/responses/{(await one.create({'input': 'hi', 'model': 'auto', 'background': True})).json()['id']}"
    for answer in (await one.http.get(path), await one.http.head(path), await one.http.head(f"{path}?stream=true")):
        assert answer.status_code == 200
        assert "etag" not in answer.headers
    unknown = await one.http.get(path, headers={"if-none-match": "*"})
    assert unknown.status_code == 200
    gate.set()
    await one.orchestrations.ended()
    assert events_of((await one.http.get(f"{path}?stream=true")).text)[-1]["type"] == "response.completed"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_another_owners_response_is_not_found_with_any_tag(method: str) -> None:
    one, path = await ended()
    headers = {"authorization": "Bearer strange", "if-none-match": "*"}
    answer: httpx.Response = await one.http.request(method, path, headers=headers)
    assert answer.status_code == 404
