"""What do the programs of all frameworks ask and expect?"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

sys.path.append(str(Path(__file__).parents[1] / "python"))

type City = Literal["Rome", "Paris"]
type Check = Callable[[], Awaitable[None]]

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
SEEN = "I see [image/png, 70 bytes]"
QUESTION = "What do you see?"
ANSWERED = "weather said: sunny in Rome"


class Trip(BaseModel):
    """A trip."""

    city: City
    days: int = Field(ge=1, le=30)
