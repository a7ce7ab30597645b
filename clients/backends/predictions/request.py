"""Which input does a call to a language model on Replicate become?

The models there take one prompt and one system prompt. A conversation of several messages is written as a dialogue.
"""

from typing import Any

from clients.backends.port import BackendCall
from clients.backends.prompts.templates import prompt_of
from clients.backends.prompts.text_chat import text_chat
from domain.fleet.catalog import Backend
from domain.fleet.request_forms import PromptTemplate


def prediction_input(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the input of a prediction. Raises ValueError for what a prompt cannot express."""
    chat = text_chat(backend, call)
    is_dialogue = len(chat.spoken) > 1
    spoken = prompt_of(PromptTemplate.DIALOGUE, "", chat.spoken, partial=False)
    found = {
        "prompt": spoken if is_dialogue else chat.spoken[0]["content"],
        "system_prompt": chat.system,
        backend.output_limit.value: call.max_output_tokens,
        **chat.sampling,
    }
    return {name: value for name, value in found.items() if value != ""}
