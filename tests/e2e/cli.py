"""The command line, run against the server of the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.child import environment
from e2e.worker_template import find_template


def run_openrtc(
    *arguments: str, folders: Sequence[Path] = (), cwd: Path | None = None, typed: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``openrtc`` to its end, forked from the template of workers where it may be.

    Args:
        *arguments: Command and options.
        folders: Folders with packages, put on the Python path.
        cwd: Working directory.
        typed: What it reads.
        **variables: Environment variables, over those of this process.
    """
    return run_python("-m", "openrtc", *arguments, folders=folders, cwd=cwd, typed=typed, **variables)


def run_python(
    *command: str, folders: Sequence[Path] = (), cwd: Path | None = None, typed: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run what comes after the Python interpreter as `run_openrtc` does."""
    environ = environment(*folders, **variables)
    if template := find_template(command, variables):
        return template.run(command, environ=environ, cwd=cwd or Path.cwd(), typed=typed)
    return subprocess.run(
        [sys.executable, *command],
        env=environ,
        cwd=cwd,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Args:
        code: The exit code.
        out: What it printed.
        err: What it said on standard error.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON that it printed."""
        read: dict[str, Any] = json.loads(self.out)
        return read


@dataclass(frozen=True)
class CommandLine:
    """Runs ``openrtc`` with a server's address, key and secret in its environment; none of these may be printed.

    Args:
        url: Address of the server.
        key: API key.
        secret: API secret.
        agent_name: The setting ``agent_name``; empty for automatic dispatch.
        folders: Folders with packages, put on the Python path.
    """

    url: str
    key: str
    secret: str
    agent_name: str = ""
    folders: Sequence[Path] = ()

    def run(self, *arguments: str) -> Done:
        """Run a command to its end."""
        connection = {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": self.key, "LIVEKIT_API_SECRET": self.secret}
        done = run_openrtc(*arguments, folders=self.folders, LIVEKIT_AGENT_NAME=self.agent_name, **connection)
        printed = done.stdout + done.stderr
        assert self.secret not in printed and "turn_password" not in printed and "Traceback" not in printed, printed
        return Done(done.returncode, done.stdout, done.stderr)
