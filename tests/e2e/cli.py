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
        done = subprocess.run(
            [sys.executable, "-m", "openrtc", *arguments],
            env=environment(*self.folders, **variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        printed = done.stdout + done.stderr
        assert self.secret not in printed and "turn_password" not in printed and "Traceback" not in printed, printed
        return Done(done.returncode, done.stdout, done.stderr)
