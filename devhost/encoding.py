"""How is text written when the target encoding lacks a character?

Half of a surrogate pair comes from file names that are not UTF-8, and from texts that are cut within an emoji.
"""


def replace_unencodable(text: str, encoding: str = "utf-8") -> str:
    """Returns the text with a question mark for each character that the encoding lacks."""
    return text.encode(encoding, "replace").decode(encoding)
