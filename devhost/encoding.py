"""What becomes of characters that no file and no terminal takes?

Half of a surrogate pair comes from file names that are no UTF-8, and from texts cut in the middle of an emoji.
"""


def replace_unencodable(text: str, encoding: str = "utf-8") -> str:
    """The text, with a question mark for each character that the encoding lacks."""
    return text.encode(encoding, "replace").decode(encoding)
