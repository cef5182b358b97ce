"""The playground of `openrtc dev`: a process of its own, which ends with this one, whatever ends that."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping

from openrtc.child_environment import drop_secrets
from openrtc.cli.package_commands import find_commands
from openrtc.discovery.discover import discover
from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.settings.config import Config, WorkerSettings

PLAYGROUND = "playground"
"""The name of its command."""
PLAYGROUND_DISTRIBUTION = "openrtc-playground"
PLAYGROUND_END_SECONDS = 2.0
"""How long it may take to end when it is told to."""

logger = logging.getLogger("openrtc.worker")


def require_playground(config: Config) -> None:
    """Raise where the playground cannot be opened.

    Args:
        config: The settings.

    Raises:
        OpenRTCError: It is not installed, or cannot be used.
    """
    found = [entry for entry in find_commands(discover(config)) if entry.name == PLAYGROUND]
    if any(entry.usable for entry in found):
        return
    if not found:
        raise OpenRTCError(
            "the playground is not installed", origin="--playground", fix=install_command(PLAYGROUND_DISTRIBUTION)
        )
    reason, fix = f"the playground is {found[0].state}: {found[0].reason}", found[0].fix
    raise OpenRTCError(reason, origin="--playground", fix=fix)


@contextlib.contextmanager
def run_playground(worker: WorkerSettings, *, settings_file: str, opens: bool) -> Iterator[Callable[[], None]]:
    """Serve the playground inside a ``with`` block.

    Args:
        worker: The settings of the worker: its server, and under which names it is registered there.
        settings_file: The settings file that was named; empty for none.
        opens: Whether a browser is opened, where there is one.

    Yields:
        What prints its address once the process has told it, and waits for nothing.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "openrtc", PLAYGROUND, "--of-worker", *([] if opens else ["--no-open"])],
        env=_build_environment(worker, settings_file),
        stdin=subprocess.PIPE,  # it ends when this closes, which the system does when this process dies
        stdout=subprocess.PIPE,
        text=True,
        process_group=0 if os.name == "posix" else None,  # Ctrl-C is for this process, which ends it
    )
    stopped = threading.Event()
    try:
        yield lambda: threading.Thread(target=_print_address, args=(process, stopped), daemon=True).start()
    finally:
        stopped.set()
        _stop(process)


def _build_environment(worker: WorkerSettings, settings_file: str) -> Mapping[str, str]:
    # No secret in the command line, which every user of the machine can read; and no key of a model, of which it needs
    # none.
    given = {
        "LIVEKIT_URL": worker.url,
        "LIVEKIT_API_KEY": worker.api_key,
        "LIVEKIT_API_SECRET": worker.api_secret,
        "LIVEKIT_AGENT_NAME": worker.agent_name,
        "OPENRTC_CONFIG": os.path.abspath(settings_file) if settings_file else "",
    }
    return {**drop_secrets(), **{name: text for name, text in given.items() if text}}


def _print_address(process: subprocess.Popen[str], stopped: threading.Event) -> None:
    assert process.stdout is not None, "it was opened with a pipe"
    if address := process.stdout.readline().strip():
        print(f"\nPlayground: {address}\n", flush=True)
    elif not stopped.is_set():
        logger.error("the playground has ended; the worker goes on without it")


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None, "it was opened with a pipe"
    process.stdin.close()
    try:
        process.wait(PLAYGROUND_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
