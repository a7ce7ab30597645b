"""Which prompt does a conversation become in the form that a family of models was trained on?

The forms are those of llama.cpp's `llama_chat_apply_template` (tests/test-chat-template.cpp). The token that begins a
text is left to the server's tokenizer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from domain.fleet.request_forms import PromptTemplate

NO_TOKENS: Final = re.compile(r"(?!)")
PIPED_TOKENS: Final = re.compile(r"<(?=\|[^|\s]{1,64}\|>)")


class Turns(Struct, frozen=True, kw_only=True):
    """The forms of one family. `tokens` finds the first character of each of its control tokens.

    `answers` begins the answer of the model; by default what precedes an assistant's text. An empty `system` means that
    the system text begins the first message of the user.
    """

    user: str
    assistant: str
    tokens: re.Pattern[str]
    system: str = ""
    answers: str | None = None
    strips: bool = False

    def text(self, content: str) -> str:
        """Return a text that cannot be read as a control token: a space follows the token's first character."""
        harmless = self.tokens.sub(lambda found: f"{found[0]} ", content)
        return harmless.strip() if self.strips else harmless


TURNS: Final[Mapping[PromptTemplate, Turns]] = {
    PromptTemplate.CHATML: Turns(
        system="<|im_start|>system\n{}<|im_end|>\n",
        user="<|im_start|>user\n{}<|im_end|>\n",
        assistant="<|im_start|>assistant\n{}<|im_end|>\n",
        tokens=PIPED_TOKENS,
    ),
    PromptTemplate.DIALOGUE: Turns(
        system="{}\n\n", user="User: {}\n\n", assistant="Assistant: {}\n\n", tokens=NO_TOKENS, answers="Assistant:"
    ),
    PromptTemplate.GEMMA: Turns(
        user="<start_of_turn>user\n{}<end_of_turn>\n",
        assistant="<start_of_turn>model\n{}<end_of_turn>\n",
        tokens=re.compile(r"<(?=[a-z_]{1,32}>)"),
        strips=True,
    ),
    PromptTemplate.LLAMA3: Turns(
        system="<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        user="<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>",
        assistant="<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
        tokens=PIPED_TOKENS,
        strips=True,
    ),
    PromptTemplate.MISTRAL: Turns(
        user="[INST] {}[/INST]",
        assistant=" {}</s>",
        tokens=re.compile(r"\[(?=/?[A-Z_]{1,32}\])|<(?=/?(?:s|unk)>)"),
        answers="",
        strips=True,
    ),
    PromptTemplate.PHI3: Turns(
        system="<|system|>\n{}<|end|>\n",
        user="<|user|>\n{}<|end|>\n",
        assistant="<|assistant|>\n{}<|end|>\n",
        tokens=PIPED_TOKENS,
    ),
}


def prompt_of(template: PromptTemplate, system: str, spoken: Sequence[Mapping[str, Any]], *, partial: bool) -> str:
    """Return the prompt for a conversation.

    `partial` tells whether its last message is the beginning of the answer, which the model is to continue.
    """
    turns = TURNS[template]
    before, _, _ = turns.assistant.partition("{}")
    *parts, last = parts_of(turns, system, spoken)
    if partial:
        _, text = last
        return "".join(form.format(text) for form, text in parts) + before + text
    end = before if turns.answers is None else turns.answers
    return "".join(form.format(text) for form, text in (*parts, last)) + end


def parts_of(turns: Turns, system: str, spoken: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield each text with its form."""
    is_apart = bool(turns.system)
    if system and is_apart:
        yield turns.system, turns.text(system)
    for at, message in enumerate(spoken):
        content = message["content"]
        if at == 0 and system and not is_apart:
            content = f"{system}\n\n{content}"
        yield turns.assistant if message["role"] == "assistant" else turns.user, turns.text(content)
