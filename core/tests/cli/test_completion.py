"""`openrtc completion`, asked as bash asks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.completion import SHELLS
from openrtc.cli.main import main

if TYPE_CHECKING:
    from conftest import Site

ASK = """
set -u
source <(openrtc completion bash)
while IFS= read -r COMP_LINE; do
    COMPREPLY=() COMP_POINT=${#COMP_LINE} COMP_TYPE=9
    _python_argcomplete openrtc
    echo "${COMPREPLY[*]-}"
done
"""


def ask_bash(site: Site, *lines: str) -> list[list[str]]:
    """Return what bash offers after each command line."""
    environment = site.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK],
        input="".join(f"{line}\n" for line in lines),
        env=environment,
        cwd=site.work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.process
def test_bash_completes_commands_options_values_and_names_of_agents(site: Site) -> None:
    site.add("my-agent", agents={"helpdesk": "m:C", "help-in-french": "m:C"})
    (site.work / "own.toml").write_text("")
    found = ask_bash(
        site,
        "openrtc lis",
        "openrtc dispatch create --ro",
        "openrtc start --isolation p",
        "openrtc call help",
        "openrtc call --agent helpd",
        "openrtc token create --new-room --agent helpd",
        "openrtc --deny my-ag",
        "openrtc list-agents --config ow",
        "openrtc call 'an open quote",
    )
    assert found == [
        ["list-agents"],
        ["--room"],
        ["process"],
        ["help-in-french", "helpdesk"],
        ["helpdesk"],
        ["helpdesk"],
        ["my-agent"],
        ["own.toml"],
        [],
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_what_it_reads(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert {"bash": "complete -o", "zsh": "compdef", "fish": "complete --command openrtc"}[shell] in told
