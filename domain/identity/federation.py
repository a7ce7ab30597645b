"""How does the app authenticate to Google and to AWS without a key of theirs?

Workload identity federation: a token of the app's Azure managed identity is exchanged at Google's Security Token
Service for a federated token, which impersonates a service account; at AWS's, for temporary credentials of a role.
"""

import re
from typing import Final

from msgspec import Struct

STS_URL: Final = "https://sts.googleapis.com"
IAM_URL: Final = "https://iamcredentials.googleapis.com"
PROVIDER: Final = re.compile(
    r"projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}"
)
SERVICE_ACCOUNT: Final = re.compile(r"[a-z0-9-]{1,63}@[a-z0-9.:-]+\.gserviceaccount\.com")

AWS_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")


class Federation(Struct, frozen=True, kw_only=True):
    """`provider` is `projects/N/locations/global/workloadIdentityPools/P/providers/X`; `scope` is the scope
    of the Entra token, `api://…/.default`; `service_account` is impersonated unless a backend names another.
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
    """Return a provider's name without the prefix `//iam.googleapis.com/`; raises ValueError where it is malformed."""
    text = text.removeprefix("//iam.googleapis.com/")
    if not PROVIDER.fullmatch(text):
        raise ValueError("expected projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
    return text


def service_account_name(text: str) -> str:
    """Return the e-mail address of a service account; raises ValueError where it is malformed."""
    if not SERVICE_ACCOUNT.fullmatch(text):
        raise ValueError("expected NAME@PROJECT.iam.gserviceaccount.com")
    return text


class AwsFederation(Struct, frozen=True, kw_only=True):
    """`role` is the ARN of the role to assume unless a backend names another; `scope` is the scope of the Entra token,
    `api://…/.default`; `sts_url` replaces the Security Token Service of the backend's region.
    """

    role: str | None = None
    scope: str | None = None
    sts_url: str | None = None

    def sts_address(self, region: str) -> str:
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return self.sts_url or f"https://sts.{region}.{domain}"


def role_name(text: str) -> str:
    """Return the ARN of a role; raises ValueError where it is malformed."""
    if not AWS_ROLE.fullmatch(text):
        raise ValueError("expected arn:aws:iam::ACCOUNT:role/NAME")
    return text
