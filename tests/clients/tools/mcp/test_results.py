"""Which text and which images has a result of an MCP server?"""

from typing import Any

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from clients.tools.mcp.results import answer_of
from clients.tools.port import AnsweredBy, ToolAnswer

TEXT = TextContent(type="text", text="found")
DOT = ImageContent(type="image", data="iVBORw0KGgo=", mime_type="image/PNG")
URL = "data:image/png;base64,iVBORw0KGgo="


def answer(*content: Any, **more: Any) -> ToolAnswer:
    return answer_of(CallToolResult(content=list(content), **more))


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (TEXT, "found"),
        (DOT, "[image of the type image/png]"),
        (
            ImageContent(type="image", data="AAAA", mime_type="image/tiff"),
            "[image of the type image/tiff, which is left out here]",
        ),
        (
            AudioContent(type="audio", data="AAAA", mime_type="audio/wav"),
            "[audio of the type audio/wav, which is left out here]",
        ),
        (ResourceLink(type="resource_link", name="n", uri="file:///a"), "n: file:///a"),
        (ResourceLink(type="resource_link", name="n", title="T", uri="file:///a"), "T: file:///a"),
        (EmbeddedResource(type="resource", resource=TextResourceContents(uri="file:///a", text="inner")), "inner"),
        (
            EmbeddedResource(type="resource", resource=BlobResourceContents(uri="file:///a", blob="AAAA")),
            "[a resource that is no text, which is left out here]",
        ),
    ],
)
def test_each_block_has_its_text(block: Any, text: str) -> None:
    assert answer(TEXT, block).text == f"found\n{text}"


def test_structured_content_counts_instead_of_the_texts() -> None:
    assert answer(TEXT, DOT, structured_content={"n": 1}).text == '{"n":1}\n[image of the type image/png]'
    assert answer(TEXT, structured_content={"n": 1}, is_error=True).text == "found"


def test_an_error_of_the_tool_has_no_images() -> None:
    good, bad = answer(DOT), answer(DOT, is_error=True)
    assert (good.status, good.by, good.images) == (200, AnsweredBy.HTTP, (URL,))
    assert (bad.by, bad.images) == (AnsweredBy.TOOL, ())
