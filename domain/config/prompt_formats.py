"""What does a backend's entry say about the form of its requests and answers, where it speaks none of the chat APIs?"""

import re
from collections.abc import Iterator
from typing import Any, Final, cast

from domain.config.toml_table import TomlTable, plain_list, plain_table
from domain.fleet.prompt_format import Placeholder, PromptFormat, PromptTemplate

PATH: Final = re.compile(r"[A-Za-z0-9_.~/:-]{1,200}")
POINTER: Final = re.compile(r"(/([^/~]|~[01])*){1,16}")
ASKED: Final = frozenset({Placeholder.PROMPT, Placeholder.MESSAGES})
SHAPED: Final = re.compile(r"\{[a-z_]+\}")


def read_prompt_format(table: TomlTable) -> PromptFormat | None:
    """Read the form of requests and answers; none where the table is absent or empty."""
    if not table.values:
        return None
    form = PromptFormat(
        path=table.text("path"),
        body=plain_table(table.values.get("body")) or {},
        answer=read_pointer("answer", table),
        template=table.optional("template", lambda key: table.choice(key, PromptTemplate)),
        finish_reason=read_pointer("finish_reason", table, required=False),
        input_tokens=read_pointer("input_tokens", table, required=False),
        output_tokens=read_pointer("output_tokens", table, required=False),
    )
    if form.path and not PATH.fullmatch(form.path):
        table.report("path", "a path without query, relative to the url")
    check_body(form, table)
    table.close()
    return form


def read_pointer(key: str, table: TomlTable, *, required: bool = True) -> str:
    pointer = table.text(key) if required else table.any_text(key, "")
    if pointer and not POINTER.fullmatch(pointer):
        table.report(key, 'a JSON pointer, like "/outputs/0/data/0"')
    return pointer


def check_body(form: PromptFormat, table: TomlTable) -> None:
    """Report a body that does not ask, names an unknown placeholder, or fits no template."""
    table.known.add("body")
    texts = set(texts_in(form.body))
    known = ", ".join(Placeholder)
    if unknown := sorted(text for text in texts if SHAPED.fullmatch(text) and text not in Placeholder):
        table.problems.append(f"{table.name_of('body')}: expected placeholders among {known}, found {unknown[0]!r}")
    if len(ASKED & texts) != 1:
        table.problems.append(f"{table.name_of('body')}: expected a table with either {' or '.join(sorted(ASKED))}")
    elif Placeholder.PROMPT in texts and form.template is None:
        table.report("template", f"the form of the model's prompts, one of {', '.join(PromptTemplate)}")
    elif Placeholder.MESSAGES in texts and form.template is not None:
        table.report("template", "nothing: the body takes messages")


def texts_in(part: Any) -> Iterator[str]:
    """Yield the texts of a body."""
    if isinstance(part, str):
        yield part
    within = cast("dict[str, Any]", part).values() if isinstance(part, dict) else plain_list(part)
    for each in within:
        yield from texts_in(each)
