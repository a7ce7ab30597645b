"""Are the forms of a server's requests and answers read, and every mistake in it named?"""

from typing import Any

import pytest

from domain.config.request_fields import read_headers, read_pointer, read_probe, read_token_counting
from domain.config.toml_table import TomlTable
from domain.fleet.request_forms import Probe, PromptFormat, PromptTemplate, TokenCounting
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


def probe_of(**values: Any) -> tuple[Probe, list[str]]:
    table = TomlTable("probe", values, [])
    return read_probe(table), table.problems


def test_a_probe_that_says_nothing_is_the_usual_one() -> None:
    assert probe_of() == (Probe(), [])


@pytest.mark.parametrize("path", ["/health", "v1/models", "a/~b:c.d"])
def test_a_probe_has_a_path_and_the_meaning_of_statuses(path: str) -> None:
    found, problems = probe_of(path=path, up=[200], starting=[502, 503], refused=[404])
    assert found == Probe(path=path, up=(200,), starting=(502, 503), refused=(404,))
    assert problems == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"up": [200], "path": "a?b"}, "probe.path: expected a path without query"),
        ({"up": [200], "path": "a b"}, "probe.path: expected a path without query"),
        ({"up": [200], "refused": [600]}, "probe: expected HTTP statuses, found one above 599"),
        ({"up": [200, 200]}, "probe: expected each status once among up, starting and refused"),
        ({"up": [200], "odd": 1}, "probe.odd: expected one of the fields body, method, path, refused, starting, up"),
    ],
)
def test_a_mistake_in_a_probe_is_named(values: dict[str, Any], problem: str) -> None:
    (found,) = probe_of(**values)[1]
    assert found.startswith(problem)


def test_a_count_of_tokens_needs_its_path_and_its_field() -> None:
    def counting(**values: Any) -> tuple[TokenCounting | None, list[str]]:
        table = TomlTable("count", values, [])
        return read_token_counting(table), table.problems

    assert counting() == (None, [])
    assert counting(path="/tokenize", field="count") == (TokenCounting(path="/tokenize", field="count"), [])
    assert counting(path="/tokenize")[1] == ["count.field: expected text, found nothing"]
    assert [each.partition(", ")[0] for each in counting(path="a b", field="n")[1]] == [
        "count.path: expected a path without query"
    ]


def test_a_variable_in_a_header_must_be_set_only_where_the_backend_is_in_use() -> None:
    def problems(*, in_use: bool) -> list[str]:
        table = TomlTable("one", {"headers": {"X-Key": "%UNSET%"}}, [])
        read_headers(table, {}, in_use=in_use)
        return table.problems

    assert problems(in_use=False) == []
    assert problems(in_use=True) == ["one.headers.X-Key: the variable UNSET is not set; set it"]


@pytest.mark.parametrize("pointer", ["/a", "/a~0b/~1/0", "/a" * 16])
def test_a_pointer_is_json_s(pointer: str) -> None:
    table = TomlTable("form", {"answer": pointer}, [])
    assert (read_pointer("answer", table), table.problems) == (pointer, [])


@pytest.mark.parametrize("pointer", ["a", "/a~", "/a~2", "/a" * 17])
def test_what_is_no_pointer_is_named(pointer: str) -> None:
    table = TomlTable("form", {"answer": pointer}, [])
    read_pointer("answer", table)
    assert table.problems == [f'form.answer: expected a JSON pointer, like "/outputs/0/data/0", found {pointer!r}']
