"""Begins a process anew, without a distribution whose code hangs: the same command line, in the same process."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence

from openrtc.errors import one_line
from openrtc.model.hung_package import HungPackage, put_hung
from openrtc.observe.stdio import flush_output, give_output_back
from openrtc.plugins.guard.clock import PackageCode
from openrtc.plugins.guard.exec_timer import ExecTimer
from openrtc.posix import read_alarms, stop_alarms
from openrtc.supervisor.process_role import ProcessRole, repeat_command
from openrtc.worker.process_exit import CANNOT_RUN

logger = logging.getLogger("openrtc.worker")


class BeginAgain:
    """What a worker does about code that hangs; an `Answer` of the clock, called in its thread, and its last resort.

    Made before any package's code runs: that may change the folder, and what `os` does.

    Args:
        environ: The environment that the process was started with.
        hung: What it leaves out already.
        clean_up: What to do before.
        role: What it was started for, if it was not by a person.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        hung: Sequence[HungPackage],
        clean_up: Callable[[], None] = lambda: None,
        role: ProcessRole | None = None,
    ) -> None:
        self._environ = dict(environ)
        self._hung = tuple(hung)
        self._clean_up = clean_up
        self._role = role
        self._command = repeat_command()
        self._folder = _find_folder()
        self._execute, self._exit = os.execve, os._exit
        self._timer = ExecTimer.find() if role is None else None  # a supervisor looks at its own

    def __call__(self, code: PackageCode, hung: HungPackage) -> None:
        """Begin again."""
        where = f" at {hung.location}" if hung.location else ""
        if any(one.key == hung.key for one in self._hung):
            # It runs though it was left out, so that leaving it out once more would be no help, for ever.
            logger.critical("%s: %s%s: the worker ends", code.owner, hung.reason, where)
            self._end()
        logger.error("%s: %s%s: the worker begins again without it", code.owner, hung.reason, where)
        try:
            self._clean_up()
            self._replace_process([*self._hung, hung])
        except Exception as error:  # whatever it is, nobody would hear of it here, and the worker would hang on
            logger.critical("the worker cannot begin again, and ends: %s", one_line(f"{error!r}"))
            self._end()

    def arm(self, code: PackageCode, hung: HungPackage, seconds: float) -> bool:
        """Begin again after some seconds, also where no Python can run then; whether that can be done here."""
        if self._timer is None or any(one.key == hung.key for one in self._hung):
            return False
        environ = put_hung(self._environ, [*self._hung, hung])
        line = f"openrtc: {code.owner}: {hung.reason}: the worker begins again without it"
        return self._timer.start(seconds, self._command, environ, line=line, folder=self._folder)

    def disarm(self) -> None:
        """Do not begin again."""
        if self._timer is not None:
            self._timer.stop()

    def stop(self, code: PackageCode) -> None:
        """End the worker, which is told to stop while code hangs: there are no calls yet."""
        logger.warning("%s: %s has not ended, and the worker is told to stop: it ends", code.owner, code.what)
        with contextlib.suppress(Exception):
            self._clean_up()
        flush_output()
        self._exit(0)

    def _replace_process(self, hung: Sequence[HungPackage]) -> None:
        environ = put_hung(self._environ, hung)
        if self._role is not None:
            self._role.let_inherit()
            environ = self._role.put_into(environ)
        if self._folder is not None:
            os.chdir(self._folder)
        stop_alarms((False,) * len(read_alarms()))  # they would go on, and end the new program
        give_output_back()
        self._execute(self._command[0], self._command, environ)

    def _end(self) -> None:
        flush_output()
        self._exit(CANNOT_RUN)


def _find_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None
