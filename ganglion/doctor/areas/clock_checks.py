"""Does this machine's clock agree with the clocks of the services that compare times with it?"""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Final

from ganglion.doctor.areas.store_checks import cosmos_url, needs_reachable_store
from ganglion.doctor.findings import Fault, error
from ganglion.doctor.outside import UnreachableError
from ganglion.doctor.subject import NotRunError, Subject

SKEW_S: Final = 60


async def issuer(subject: Subject) -> AsyncIterator[Fault]:
    """Tokens of an issuer whose clock differs are not valid yet, or expired."""
    if subject.settings.token_keys:
        raise NotRunError("a key file replaces the issuer")
    async for fault in skew(subject, subject.settings.token_authority, "token issuer"):
        yield fault


async def store(subject: Subject) -> AsyncIterator[Fault]:
    url = cosmos_url(subject)
    await needs_reachable_store(subject)
    async for fault in skew(subject, url, "store"):
        yield fault


async def skew(subject: Subject, url: str, service: str) -> AsyncIterator[Fault]:
    """Compare the clock with the date in the answer of a service."""
    try:
        answer = await subject.outside.get(url)
    except UnreachableError as problem:
        raise NotRunError(f"the {service} cannot be reached: {problem}") from None
    if "date" not in answer.headers:
        raise NotRunError(f"the answer of the {service} has no date")
    off_s = subject.target.now - parsedate_to_datetime(answer.headers["date"]).timestamp()
    if abs(off_s) > SKEW_S:
        direction = "ahead of" if off_s > 0 else "behind"
        yield error(
            f"this machine's clock is {abs(off_s):.0f} s {direction} the clock of the {service}",
            "sudo timedatectl set-ntp true",
        )
