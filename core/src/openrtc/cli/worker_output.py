"""Where a worker's output goes: a relay that always takes it, and a log that no package changes."""

from __future__ import annotations

import logging

from openrtc.observe.logs import configure_logs
from openrtc.observe.stdio import relay_output
from openrtc.plugins.guard.streams import keep_streams_open
from openrtc.settings.config import Config, WorkerSettings

logger = logging.getLogger("openrtc.worker")


def open_output(worker: WorkerSettings, *, relayed: bool = True, hides_calls: bool = False) -> None:
    """Configure the log, and let nobody wait for whoever reads it.

    Args:
        worker: The settings.
        hides_calls: Whether lines of calls that are no warnings are left out, since the calls are shown otherwise.
        relayed: Whether to start a relay; the processes of a supervisor have its.
    """
    problem = relay_output(worker.log_format) if relayed else None
    keep_streams_open()  # also in calls: what one agent does to them must not make the others' print() fail
    configure_logs(worker.log_level, worker.log_format, without_calls=hides_calls)
    if problem:
        logger.warning("a reader of this output that stands still stops the calls: %s", problem)


def log_files(config: Config) -> None:
    """Log which files the settings come from, and what of them was left out."""
    for line in config.env_files.left_out:
        logger.warning("%s", line)
    if read := [*([config.source] if config.source else ()), *config.env_files.read]:
        logger.info("settings: %s", ", ".join(map(str, read)))
