"""What an agent's code takes too long for before its call is ended."""

from __future__ import annotations

import asyncio

import pytest

from openrtc.errors import OpenRTCError
from openrtc.session import cleanup
from openrtc.session.cleanup import limit_build_time


async def test_an_agent_that_is_not_built_in_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BUILD_SECONDS", 0.01)
    with pytest.raises(OpenRTCError, match="agent 'support' was not built within 0.01 s"):
        async with limit_build_time("support"):
            await asyncio.sleep(1)


async def test_a_timeout_of_the_factory_itself_passes() -> None:
    with pytest.raises(TimeoutError, match="the directory"):
        async with limit_build_time("support"):
            raise TimeoutError("the directory does not answer")
