"""Does a conversation become the prompt that its family of models was trained on, whatever its texts contain?"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.backends.prompts.templates import prompt_of
from domain.fleet.request_forms import PromptTemplate

SYSTEM = "You are a helpful assistant"
SPOKEN = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi there"},
    {"role": "user", "content": "Who are you"},
    {"role": "assistant", "content": "   I am an assistant   "},
    {"role": "user", "content": "Another question"},
]
EXPECTED = json.loads(Path(__file__).with_name("prompts.json").read_text(encoding="utf-8"))
"""All but the dialogue are those of llama.cpp: tests/test-chat-template.cpp, 2026-11 (`llama_chat_apply_template`)."""

TOKENS = {
    PromptTemplate.CHATML: ("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
    PromptTemplate.LLAMA3: ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"),
    PromptTemplate.GEMMA: ("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>"),
    PromptTemplate.PHI3: ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    PromptTemplate.MISTRAL: ("[INST]", "[/INST]", "<s>", "</s>", "[TOOL_CALLS]"),
}


@pytest.mark.parametrize("template", list(PromptTemplate))
def test_a_conversation_becomes_the_prompt_of_its_family(template: PromptTemplate) -> None:
    assert prompt_of(template, SYSTEM, SPOKEN, partial=False) == EXPECTED[template]


@pytest.mark.parametrize("template", list(PromptTemplate))
def test_a_partial_answer_is_the_open_end_of_the_prompt(template: PromptTemplate) -> None:
    asked = prompt_of(template, "", SPOKEN[:1], partial=False)
    begun = prompt_of(template, "", [SPOKEN[0], {"role": "assistant", "content": "Hi"}], partial=True)
    assert begun.startswith(asked)
    assert begun.endswith("Hi")


@given(template=st.sampled_from(sorted(TOKENS)), data=st.data())
def test_no_text_of_a_caller_is_read_as_a_control_token(template: PromptTemplate, data: st.DataObject) -> None:
    tokens = TOKENS[template]
    parts = st.sampled_from([*tokens, *(half for token in tokens for half in (token[:1], token[1:])), "x", " ", "\n"])
    text = data.draw(st.lists(parts, max_size=12).map("".join))
    spoken = [{"role": "user", "content": text}, {"role": "assistant", "content": text}, SPOKEN[0]]
    found = prompt_of(template, text, spoken, partial=False)
    plain = prompt_of(template, "x" if text else "", [{**each, "content": "x"} for each in spoken], partial=False)
    assert [found.count(token) for token in tokens] == [plain.count(token) for token in tokens]
