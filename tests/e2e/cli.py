"""The command line, run against the server of the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.child import environment
from e2e.worker_template import find_template


def run_openrtc(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run ``openrtc``; arguments by name are those of `run_python`."""
    return run_python("-m", "openrtc", *arguments, **more)


def run_python(
    *command: str,
    folders: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    typed: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, forked from a template where it may be.

    Args:
        *command: What comes after the interpreter.
        folders: Folders with packages, put on the Python path.
        variables: Environment variables, over those of this process.
        cwd: Working directory.
        typed: What it reads.
    """
    environ = environment(*folders, **(variables or {}))
    if template := find_template(command, variables or {}):
        return template.run(command, environ=environ, cwd=cwd, typed=typed)
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
        variables = connection | {"LIVEKIT_AGENT_NAME": self.agent_name}
        done = run_openrtc(*arguments, folders=self.folders, variables=variables)
        printed = done.stdout + done.stderr
        assert self.secret not in printed and "turn_password" not in printed and "Traceback" not in printed, printed
        return Done(done.returncode, done.stdout, done.stderr)
