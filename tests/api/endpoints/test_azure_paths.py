"""Do the unmodified Azure OpenAI clients work on the paths that they call?"""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI

from tests.api.harness import ANSWER, Api, api
from tests.api.serving import served

HI: list[Any] = [{"role": "user", "content": "hi"}]
VERSION = "2024-10-21"


@contextlib.asynccontextmanager
async def azure(one: Api, **options: Any) -> AsyncGenerator[AsyncAzureOpenAI]:
    """Open Azure's client with a token of Microsoft Entra, unless `options` give another credential."""
    credential = {} if "api_key" in options else {"azure_ad_token": "mine"}
    async with served(one) as url:
        place = {name: value.format(url=url) for name, value in options.items() if name == "base_url"}
        client: AsyncAzureOpenAI = AsyncAzureOpenAI(
            **({} if place else {"azure_endpoint": url}), api_version=VERSION, **credential, **(options | place)
        )
        async with client:
            yield client


async def test_a_chat_names_its_model_in_the_path() -> None:
    async with azure(api()) as client:
        chat = await client.chat.completions.create(model="model@main", messages=HI)
        chunks = [chunk async for chunk in await client.chat.completions.create(model="auto", messages=HI, stream=True)]
    assert (chat.model, chat.choices[0].message.content) == ("model@main", ANSWER)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert {chunk.model for chunk in chunks} == {"auto"}


async def test_the_deployment_of_the_client_wins_over_the_model_of_the_request_and_the_answer_says_so() -> None:
    async with azure(api(), azure_deployment="model") as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HI)
        assert raw.headers["x-ganglion-ignored"] == "model"
        assert raw.parse().model == "model"
        assert [each.id async for each in client.models.list()] == ["auto", "model", "model@main"]


async def test_responses_conversations_and_models_work() -> None:
    async with azure(api()) as client:
        made = await client.responses.create(model="model", input="hi")
        assert (made.output_text, await client.responses.retrieve(made.id)) == (ANSWER, made)
        conversation = await client.conversations.create()
        assert (await client.conversations.retrieve(conversation.id)).id == conversation.id
        assert (await client.models.retrieve("model")).id == "model"


@pytest.mark.parametrize("base", ["{url}/v1", "{url}/openai/v1", "{url}/openai/deployments/model"])
async def test_a_base_url_with_a_version_or_a_deployment_works(base: str) -> None:
    async with azure(api(), base_url=base) as client:
        assert (await client.chat.completions.create(model="model", messages=HI)).choices[0].message.content == ANSWER


async def test_an_unknown_deployment_is_an_error_that_names_the_model() -> None:
    async with azure(api(), azure_deployment="gpt-4o") as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="model", messages=HI)
    assert (caught.value.param, "gpt-4o" in caught.value.message) == ("model", True)


async def test_an_api_key_is_rejected_with_the_way_to_send_a_token() -> None:
    async with azure(api(), api_key="0123456789abcdef") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="model", messages=HI)
    assert "azure_ad_token" in caught.value.message
    assert "Bearer" in caught.value.message
    assert "0123456789abcdef" not in caught.value.message


async def test_a_token_counts_where_a_key_is_sent_as_well() -> None:
    answer = await api().http.post(
        "/openai/v1/responses", json={"input": "hi"}, headers={"api-key": "whatever", "x-api-key": "more"}
    )
    assert answer.status_code == 200


UNKNOWN = [
    ("POST", "/openai/deployments/model/embeddings", 404),
    ("POST", "/openai/v1/embeddings", 404),
    ("POST", "/openai/deployments", 404),
    ("POST", "/v1/deployments/model/responses", 404),
    ("POST", "/openai/healthz", 404),
    ("PUT", "/openai/v1/responses", 404),
    ("GET", "/openai/", 404),
    ("GET", "/openai/v1/responses/resp_1", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), UNKNOWN)
async def test_any_other_path_is_unknown(method: str, path: str, status: int) -> None:
    answer = await api().http.request(method, path, json={})
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
