"""Imports entries as a worker will, and each of them alone: survives exits, crashes, hangs and whatever an import does.

Each entry is imported in a process of its own, and at the end all are in one, in a worker's order. That one's verdict
is the worker's; where an entry stands otherwise alone, that is said, with the package that makes the difference.

livekit-agents takes most of such a process's time, so it is imported once, in a process of which all others are copies:
itself a copy of this one, where this has one thread. Where nothing can be copied, each process starts from nothing.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from openrtc.catalog.loaded import LoadedAgent
from openrtc.child_environment import THREADS_OFF, leave_out_working_folder
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.errors import OpenRTCError
from openrtc.plugins.probe.child import import_livekit_first
from openrtc.plugins.probe.verdicts import Trial, Verdicts, judge
from openrtc.posix import ForkedProcess, can_copy_itself, can_fork, find_temporary_folder, leave_session
from openrtc.settings.config import Config

logger = logging.getLogger("openrtc.plugins")

PROBE_START_SECONDS = 60.0
"""For Python's and livekit's own start, and for a package that has switched off a process's clock."""
NO_LIMIT = 86_400.0
"""Seconds that an import may take where it has no limit: a day, since the clock of these processes needs one."""
RESULT = "verdicts.pickle"
PROBE_STOP_SECONDS = 5.0
"""How long that process may take to end what it has started, when it is told that nobody waits for it any more."""


def probe_all(
    entries: Sequence[Entry],
    config: Config | None = None,
    *,
    timeout: float | None = None,
    start_timeout: float = PROBE_START_SECONDS,
) -> list[LoadedAgent]:
    """Import each usable entry, alone and together with the others, and log what is said of the imports.

    Args:
        entries: As of `probe_entries`.
        config: Likewise.
        timeout: Likewise.
        start_timeout: Likewise.

    Returns:
        The agents that the entries bring.

    Raises:
        OpenRTCError: There is no folder for temporary files.
    """
    found = probe_entries(entries, config, timeout=timeout, start_timeout=start_timeout)
    for level, line in found.lines:
        logger.log(level, "%s", line)
    return found.agents


def probe_entries(
    entries: Sequence[Entry],
    config: Config | None = None,
    *,
    timeout: float | None = None,
    start_timeout: float = PROBE_START_SECONDS,
    checks: bool = False,
    started: Callable[[], object] = lambda: None,
) -> Verdicts:
    """Import each usable entry, alone and together with the others.

    Args:
        entries: What `discover` found, in its order; those that are not usable are returned as they are.
        config: The settings.
        timeout: Seconds that each import may take, livekit's own not counted; by default what the settings say.
        start_timeout: Seconds more for all else that a process does.
        checks: Whether the plugins' ``openrtc_checks`` are called where all entries are imported together.
        started: Called once the imports go on in another process: until then, this one must have one thread to be
            copied quickly.

    Returns:
        The agents that the entries bring, usable or not, without their specs, as a worker would have them, in the order
        of ``entries``: of a hook module all its agents, of a plugin those that it brings besides; and all else that was
        found.

    Raises:
        OpenRTCError: There is no folder for temporary files.
    """
    try:
        find_temporary_folder()
    except FileNotFoundError:
        raise OpenRTCError("no folder can be written to, and imports are tried in one", fix="set TMPDIR") from None
    config = config or Config()
    entries = [entry for entry in entries if not entry.is_command]
    with tempfile.TemporaryDirectory(prefix="openrtc-probe-", ignore_cleanup_errors=True) as scratch:
        trial = Trial(
            entries, config, timeout or config.policy.import_seconds or NO_LIMIT, start_timeout, Path(scratch), checks
        )
        return _judge_apart(trial, started) or judge(trial)


def _judge_apart(trial: Trial, started: Callable[[], object]) -> Verdicts | None:
    """Return what another process finds, which imports livekit-agents once and is copied; None where none can be."""
    if not can_fork() or not any(entry.usable for entry in trial.entries):
        started()
        return None
    orders, held = connection.Pipe(duplex=False)
    parent: Any
    if can_copy_itself():

        def work() -> None:
            held.close()
            _write_verdicts(trial, orders)

        parent = ForkedProcess(work)
    else:
        leave_out_working_folder()
        parent = get_context("spawn").Process(target=_write_verdicts, args=(trial, orders))
    parent.start()
    orders.close()
    try:
        started()
        connection.wait([parent.sentinel])
    finally:
        held.close()  # after Ctrl-C: then nobody waits for it
        connection.wait([parent.sentinel], PROBE_STOP_SECONDS)
        parent.kill()
        parent.join()
    result = trial.folder / RESULT
    return pickle.loads(result.read_bytes()) if result.exists() else None


def _write_verdicts(trial: Trial, orders: Connection) -> NoReturn:
    """Run in that process: write down what it finds, unless ``orders`` is closed before.

    Args:
        trial: What is tried.
        orders: The end of a pipe.
    """
    leave_session()  # Ctrl-C is for the command, which then closes the pipe
    _import_livekit(trial)
    if can_copy_itself():
        unfinished = trial.folder / f"{RESULT}.part"
        unfinished.write_bytes(pickle.dumps(judge(trial, copies=True, stop=[orders])))
        unfinished.replace(trial.folder / RESULT)
    os._exit(0)


def _import_livekit(trial: Trial) -> None:
    """Import livekit-agents, where it has an end, and without the threads that numpy's library would start."""
    if not any(entry.usable and entry.group == AGENTS_GROUP for entry in trial.entries):
        return
    added = {name: text for name, text in THREADS_OFF.items() if os.environ.setdefault(name, text) is text}
    faulthandler.dump_traceback_later(trial.start_timeout, exit=True)
    import_livekit_first(trial.config)
    faulthandler.cancel_dump_traceback_later()
    for name in added:
        del os.environ[name]
