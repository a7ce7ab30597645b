"""Which text is the result of a call, as an MCP server gives it?"""

from collections.abc import Collection, Iterable, Iterator

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from clients.tools.port import AnsweredBy, ToolAnswer
from domain.content.result_images import taken_images
from domain.tools.results import result_text

SUCCESS = 200


def answer_of(result: CallToolResult) -> ToolAnswer:
    """Return a result as an answer. Structured content counts instead of the texts, which repeat it."""
    images = taken_images(image_url(each) for each in result.content if isinstance(each, ImageContent))
    if result.structured_content is not None and not result.is_error:
        others = (each for each in result.content if not isinstance(each, TextContent))
        parts = [result_text(result.structured_content), *block_texts(others, images)]
    else:
        parts = list(block_texts(result.content, images))
    text = result_text("\n".join(parts))
    by = AnsweredBy.TOOL if result.is_error else AnsweredBy.HTTP
    return ToolAnswer(status=SUCCESS, text=text, by=by, images=() if result.is_error else images)


def image_url(image: ImageContent) -> str:
    return f"data:{image.mime_type.lower()};base64,{image.data}"


def block_texts(blocks: Iterable[ContentBlock], images: Collection[str]) -> Iterator[str]:
    """Yield the text of each block; of an image or a sound a note, which tells whether it is left out."""
    for block in blocks:
        match block:
            case TextContent():
                yield block.text
            case ImageContent() if image_url(block) in images:
                yield f"[image of the type {block.mime_type[:64].lower()}]"
            case ImageContent() | AudioContent():
                yield f"[{block.type} of the type {block.mime_type[:64]}, which is left out here]"
            case ResourceLink():
                yield f"{block.title or block.name}: {block.uri}"
            case EmbeddedResource(resource=TextResourceContents(text=text)):
                yield text
            case _:
                yield "[a resource that is no text, which is left out here]"
