"""How is a secret stored so that only this app can read it, and only where it was put?

AES-GCM with a key of the settings. The place of the secret is the associated data, so a sealed text that is moved to
another place can't be opened.
"""

import os
from base64 import b64decode, b64encode
from typing import Final

NONCE_BYTES: Final = 12


class Seal:
    """Seals texts. The cipher is imported at the first use."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def sealed(self, text: str, *, place: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - few apps need it

        nonce = os.urandom(NONCE_BYTES)
        return b64encode(nonce + AESGCM(self.key).encrypt(nonce, text.encode(), place.encode())).decode()

    def opened(self, sealed: str, *, place: str) -> str | None:
        """Return the text; None where it was sealed with another key or for another place, or was changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        try:
            data = b64decode(sealed, validate=True)
            return AESGCM(self.key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError):
            return None
