"""Which origins may call the app from a browser?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DAY_S = "86400"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """The origins of local.settings.json; `*` allows every origin. An empty set disables CORS."""

    origins: frozenset[str] = frozenset()
    credentials: bool = False

    def allows(self, origin: str | None) -> bool:
        return origin is not None and bool({"*", origin.rstrip("/").lower()} & self.origins)

    def response_headers(self, origin: str | None) -> dict[str, str]:
        """The CORS headers of a response to this origin; none if the origin is not allowed."""
        if origin is None or not self.allows(origin):
            return {}
        with_credentials = {"Access-Control-Allow-Credentials": "true"} if self.credentials else {}
        any_ = "*" in self.origins and not self.credentials
        return {"Access-Control-Allow-Origin": "*" if any_ else origin, "Vary": "Origin"} | with_credentials

    def preflight_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of a response to a preflight request."""
        preflight = {
            "Access-Control-Allow-Methods": headers.get("Access-Control-Request-Method", ""),
            "Access-Control-Allow-Headers": headers.get("Access-Control-Request-Headers", ""),
            "Access-Control-Max-Age": DAY_S,
        }
        own = self.response_headers(headers.get("Origin"))
        return own | {name: value for name, value in preflight.items() if value} if own else {}


def cors_from_settings(host: Mapping[str, Any]) -> CorsPolicy:
    """`host` is the Host section of local.settings.json."""
    listed = str(host.get("CORS") or "").split(",")
    origins = frozenset(one.strip().rstrip("/").lower() for one in listed if one.strip())
    return CorsPolicy(origins=origins, credentials=str(host.get("CORSCredentials", "")).lower() == "true")
