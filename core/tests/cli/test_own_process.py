from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.own_process import take_secret

if TYPE_CHECKING:
    from conftest import Site


@pytest.mark.parametrize(
    ("command", "kept", "secret"),
    [
        ("python openrtc start --api-secret s --strict", "python openrtc start --strict", "s"),
        ("python -m openrtc start --api-secret=s=t", "python -m openrtc start", "s=t"),
        ("python openrtc call --api-secret a x --api-secret b", "python openrtc call x", "b"),
        ("python openrtc call --api-secret= x", "python openrtc call x", ""),
    ],
)
def test_a_secret_is_taken_out_of_a_command_line(command: str, kept: str, secret: str) -> None:
    assert take_secret(command.split()) == (kept.split(), secret)


@pytest.mark.parametrize("command", ["openrtc start", "openrtc start --api-secret", "openrtc --api-key k"])
def test_other_command_lines_are_left_alone(command: str) -> None:
    assert take_secret(command.split()) is None


@pytest.mark.process
def test_no_process_title_shows_the_secret() -> None:
    source = """
import os, pathlib
from openrtc.cli.own_process import hide_secret
hide_secret()
print(pathlib.Path("/proc/self/cmdline").read_text().split("\\0")[3:-1], os.environ["LIVEKIT_API_SECRET"])
"""
    command = [sys.executable, "-c", source, "start", "--api-secret", "hidden", "--strict"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "['start', '--strict'] hidden\n"


@pytest.mark.process
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_the_output_cannot_hold_is_escaped(site: Site, env: dict[str, str]) -> None:
    site.add("pkg-a", agents={"a": "pkg_a:A"}, files={"pkg_a.py": ""}, summary="日本語")
    result = site.run("list-agents", env=env)
    assert result.returncode == 0
    assert r"\u65e5\u672c\u8a9e" in result.stdout
    (warning,) = result.stderr.splitlines()
    assert "lacks some characters" in warning
