"""Commands of ``openrtc`` that packages bring, each an entry point in the group ``openrtc.commands``.

They are found in the packages' metadata; only the command that is called is imported. It is called without arguments,
as the script of a package is, and finds its own in ``sys.argv``.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from openrtc.cli.commands import ALIASES, COMMANDS
from openrtc.cli.output import print_warning
from openrtc.cli.setting_options import read_settings
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.errors import OpenRTCError
from openrtc.model.status import State, Status
from openrtc.settings.config import Config
from openrtc.suggest import did_you_mean


def find_commands(entries: Iterable[Entry]) -> list[Entry]:
    """Return the commands among entries, usable or not; one with the name of a command of openrtc's own is a conflict.

    Args:
        entries: What `discover` found.
    """
    return [_settle(entry) for entry in entries if entry.is_command]


def list_commands(config: Config) -> Mapping[str, str]:
    """Return the summary of each command that can be called, and warn of those that cannot because of their names.

    Args:
        config: The settings.
    """
    found = find_commands(discover(config))
    for entry in found:
        if entry.state is State.CONFLICT:
            print_warning(f"command {entry.name} of {entry.distribution}: {entry.reason} ({entry.fix})")
    return {entry.name: entry.summary or f"a command of {entry.distribution}" for entry in found if entry.usable}


def run_command(name: str, args: argparse.Namespace, words: Sequence[str]) -> int:
    """Run a package's command, and return its exit code.

    Args:
        name: Its name.
        args: The options before the name, which are openrtc's own.
        words: What stands after the name, which is the command's.

    Raises:
        OpenRTCError: No package brings it, it cannot be used, or it has failed.
    """
    config = read_settings(args)
    found = find_commands(discover(config))
    entry = min((one for one in found if one.name == name), key=lambda one: not one.usable, default=None)
    if entry is None:
        known = [*COMMANDS, *ALIASES, *(one.name for one in found if one.usable)]
        raise OpenRTCError(
            f'there is no command "{name}"', fix=did_you_mean(name, known, f"there are {', '.join(known)}")
        )
    if not entry.usable:
        raise OpenRTCError(
            f"command {name} of {entry.distribution} is {entry.state}: {entry.reason}",
            origin=entry.location,
            fix=entry.fix,
        )
    config.env_files.export(os.environ)
    if args.config:  # it may read the settings, too
        os.environ["OPENRTC_CONFIG"] = os.path.abspath(args.config)
    command = _import_command(entry, config)
    sys.argv = [f"openrtc {name}", *words]
    return _call(command, entry)


def _settle(entry: Entry) -> Entry:
    if entry.name not in {*COMMANDS, *ALIASES} or not entry.usable:
        return entry
    reason, fix = f"openrtc has a command {entry.name} of its own, which is used", "its author must rename it"
    return replace(entry, status=Status(State.CONFLICT, reason, fix, entry.location))


def _import_command(entry: Entry, config: Config) -> Callable[[], Any]:
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata
    from openrtc.plugins.fault import Fault
    from openrtc.plugins.guard.clock import set_limit
    from openrtc.plugins.importing import import_target, run_guarded
    from openrtc.plugins.own_modules import imported_name, know_distributions

    def step() -> Callable[[], Any]:
        target = import_target(entry)
        if not callable(target):
            place = getattr(sys.modules.get(imported_name(entry)), "__file__", None)
            fix = "name one that runs the command, as package.module:main"
            raise Fault(f"{entry.value} is no function", fix, place)
        if needed := _list_needed(target):
            raise Fault(
                f"{entry.value} needs the arguments {', '.join(needed)}",
                "let it take none, as a script does, and read sys.argv",
                at=target,
            )
        return target

    tolerate_unreadable_metadata()
    set_limit(config.policy.import_seconds)
    know_distributions([entry])
    result = run_guarded(entry, step)
    if result.value is None:
        status = result.failure
        assert status is not None, "what gives no value has failed"
        raise OpenRTCError(
            f"command {entry.name} of {entry.distribution} is broken: {status.reason}",
            origin=status.location,
            fix=status.fix,
        )
    return result.value


def _list_needed(target: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # compiled, and does not tell
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in free]


def _call(command: Callable[[], Any], entry: Entry) -> int:
    """Call a command, and return its exit code as Python makes it of what a script returns or exits with."""
    from openrtc.plugins.importing import explain_error

    try:
        answer = command()
    except SystemExit as exited:
        answer = exited.code
    except (KeyboardInterrupt, BrokenPipeError, OpenRTCError):
        raise
    except Exception as error:  # the package's, whatever it is
        fault = explain_error(error, entry).status
        reason = f"command {entry.name} of {entry.distribution} has failed: {fault.reason}"
        raise OpenRTCError(reason, origin=fault.location, fix=fault.fix) from error
    if answer is None or isinstance(answer, int):
        return int(answer or 0)
    print(answer, file=sys.stderr)
    return 1
