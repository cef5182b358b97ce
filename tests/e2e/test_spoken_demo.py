"""`openrtc demo` with speech, on a LiveKit server of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from e2e.cli import run_openrtc
from e2e.packages import Package

pytestmark = pytest.mark.realtime

BAKERY = Package(
    name="bakery",
    modules={
        "bakery.py": """
            from livekit.agents import Agent, function_tool

            class Baker(Agent):
                '''Sells bread.'''

                def __init__(self):
                    super().__init__(instructions="Sell bread.")

                @function_tool
                async def opening_hours(self):
                    '''Tell the opening hours.'''
                    return "We are open from seven until noon."
        """
    },
    agents={"baker": "bakery:Baker"},
)


def test_callers_speak_and_hear_the_answer(tmp_path: Path) -> None:
    folder = BAKERY.install_into(tmp_path / "packages")
    result = run_openrtc("demo", "--allow", "bakery,openrtc-offline", folders=[folder])
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("  how       spoken") for line in lines)
    assert any(re.fullmatch(r"  heard     .*opening hours", line) for line in lines), "as well as it recognises speech"
    assert "  called    opening_hours()" in lines
    assert any(
        re.fullmatch(r"  said      We are open from seven until noon\.  \(\d+\.\d\d s\)", line) for line in lines
    )
    assert any(line.startswith("1 good call of 1, 1 agent, one process") for line in lines)
