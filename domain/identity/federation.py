"""As whom do we stand before Google, where no key of Google's is ours?

Workload identity federation: a token of the app's Azure managed identity is exchanged at Google's Security Token
Service for a federated one, with which a service account is impersonated.
"""

import re
from dataclasses import dataclass
from typing import Final

STS_URL: Final = "https://sts.googleapis.com"
IAM_URL: Final = "https://iamcredentials.googleapis.com"
PROVIDER: Final = re.compile(
    r"projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}"
)
SERVICE_ACCOUNT: Final = re.compile(r"[a-z0-9-]{1,63}@[a-z0-9.:-]+\.gserviceaccount\.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """`provider` is `projects/N/locations/global/workloadIdentityPools/P/providers/X`; `scope` is that of the Entra
    token that it accepts, `api://…/.default`; `service_account` is impersonated where a backend names no other.
    """

    provider: str | None = None
    scope: str | None = None
    service_account: str | None = None
    sts_url: str = STS_URL
    iam_url: str = IAM_URL

    @property
    def audience(self) -> str:
        return f"//iam.googleapis.com/{self.provider}"


def provider_name(text: str) -> str:
    """Return the name of a provider, less `//iam.googleapis.com/` before it; raises ValueError where it is none."""
    text = text.removeprefix("//iam.googleapis.com/")
    if not PROVIDER.fullmatch(text):
        raise ValueError("expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
    return text


def service_account_name(text: str) -> str:
    """Return the e-mail address of a service account; raises ValueError where it is none."""
    if not SERVICE_ACCOUNT.fullmatch(text):
        raise ValueError("expected NAME@PROJECT.iam.gserviceaccount.com")
    return text
