"""Whom the console can talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

ENTRYPOINT = """
from livekit.agents import JobContext

async def entrypoint(ctx: JobContext):
    await ctx.connect()
"""


@pytest.mark.process
def test_an_entrypoint_that_waits_in_a_room_is_refused_in_one_line(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:entrypoint"}, files={"pkg_a.py": ENTRYPOINT})
    result = site.run("console", "helpdesk", env={"OPENRTC_ALLOW": "pkg-a"})
    assert result.returncode == 2
    said = [line for line in result.stderr.splitlines() if line.startswith("openrtc: ")]
    reason = "agent 'helpdesk' is a LiveKit entrypoint, which makes its session in a room"
    assert said == [f"openrtc: {reason} (talk to it in a room: openrtc dev --with-server)"]
