"""Limits how long an agent's code may take to be built.

How long it may go on when nobody is there any more is in `openrtc.session.hang_up`, what it still does when its call
has ended in `openrtc.session.leftovers`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from openrtc.errors import OpenRTCError

BUILD_SECONDS = 10.0
"""How long an agent's factory may take: the caller hears nothing meanwhile, and one that hangs would keep its slot."""


@contextlib.asynccontextmanager
async def limit_build_time(agent: str) -> AsyncIterator[None]:
    """Give the body, which builds an agent, a limited time.

    Raises:
        OpenRTCError: The time is over.
    """
    deadline = asyncio.timeout(BUILD_SECONDS)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise  # the factory's own, such as of a request
        raise OpenRTCError(f"agent {agent!r} was not built within {BUILD_SECONDS:g} s") from error
