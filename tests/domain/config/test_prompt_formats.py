"""Is the form of a server's requests and answers read, and every mistake in it named?"""

import pytest

from domain.fleet.request_forms import PromptFormat, PromptTemplate
from tests.domain.config.test_systems_toml import problems_of, read

OWN = """
[systems.own]
adapter = "prompt"
{more}
[systems.own.prompt]
path = "predict"
body = {body}
answer = "/text"
"""
PROMPT = '{ text = "{prompt}" }'
MESSAGES = '{ chat = "{messages}" }'


def own(body: str = PROMPT, more: str = "") -> str:
    return OWN.format(body=body, more=more)


def test_a_backend_names_the_template_of_its_model_and_inherits_the_rest() -> None:
    found = read("own", 'prompt = { template = "llama3" }', systems=own()).prompt
    body = {"text": "{prompt}"}
    assert found == PromptFormat(path="predict", body=body, answer="/text", template=PromptTemplate.LLAMA3)
    assert read("own", systems=own(MESSAGES)).prompt == PromptFormat(
        path="predict", body={"chat": "{messages}"}, answer="/text"
    )


def test_a_prompt_can_be_continued_and_messages_cannot() -> None:
    prefill = 'continues = "assistant_prefill"'
    assert read("own", f'{prefill}\nprompt = {{ template = "chatml" }}', systems=own()).prompt
    assert any(
        "backends.one.continues: expected no" in each for each in problems_of("own", prefill, systems=own(MESSAGES))
    )


@pytest.mark.parametrize(
    ("system", "fields", "body", "problem"),
    [
        ("own", "", PROMPT, "backends.one.prompt.template: expected the form of the model's prompts, one of chatml, "),
        ("own", 'prompt = { template = "vicuna" }', PROMPT, "backends.one.prompt.template: expected one of chatml, "),
        ("own", 'prompt = { template = "gemma" }', MESSAGES, "backends.one.prompt.template: expected nothing"),
        ("own", 'prompt = { path = "a?b" }', MESSAGES, "backends.one.prompt.path: expected a path without query"),
        (
            "own",
            'prompt = { answer = "text" }',
            MESSAGES,
            'backends.one.prompt.answer: expected a JSON pointer, like "/',
        ),
        ("own", "", '{ text = "x" }', "backends.one.prompt.body: expected a table with either {messages} or {prompt}"),
        (
            "own",
            "",
            '{ a = [{ b = "{prompts}" }] }',
            "backends.one.prompt.body: expected placeholders among {prompt}, ",
        ),
        ("openai", 'adapter = "prompt"', PROMPT, "backends.one.prompt: expected a table of the adapter prompt"),
        ("own", 'adapter = "openai"', MESSAGES, "backends.one.prompt: expected a table of the adapter prompt"),
        (
            "own",
            "prompt = { tail = 1 }",
            MESSAGES,
            "backends.one.prompt.tail: expected one of the fields answer, body, ",
        ),
    ],
)
def test_a_mistake_in_a_form_is_named(system: str, fields: str, body: str, problem: str) -> None:
    assert any(each.startswith(problem) for each in problems_of(system, fields, systems=own(body)))


def test_a_server_that_counts_no_tokens_needs_a_price_of_time() -> None:
    systems = own(MESSAGES).replace("systems.own", "systems.counted")
    assert any(
        each.startswith("backends.one.price: expected a price of time")
        for each in problems_of("counted", systems=systems)
    )
    assert read("counted", systems=f'{systems}output_tokens = "/tokens"\n').prompt
