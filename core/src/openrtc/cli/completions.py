"""Answers a shell that asks what may stand at the cursor, by way of argcomplete."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

import argcomplete
from argcomplete.completers import FilesCompleter, SuppressCompleter

from openrtc.cli.commands import ALIASES, COMMANDS, Command
from openrtc.cli.setting_options import add_common_options
from openrtc.errors import OpenRTCError
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.kinds import AGENTS, DISTRIBUTION, DISTRIBUTIONS, Choice


def answer_shell() -> None:
    """Print what may stand at the cursor of the shell's command line, and end the process."""
    typed = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT") or 0) or None]
    parser = build_whole_parser(_split(typed)[1:])
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=SuppressCompleter())


def build_whole_parser(typed: Collection[str]) -> argparse.ArgumentParser:
    """Return the parser of ``openrtc``, in which only the commands that are typed have their options.

    Args:
        typed: The words before the cursor.
    """
    parser = argparse.ArgumentParser(prog="openrtc", allow_abbrev=False)
    add_common_options(parser)
    chosen = parser.add_subparsers(metavar="COMMAND")
    begun = [word for word in typed if word in COMMANDS or word in ALIASES]
    names: Mapping[str, str] = {**COMMANDS, **({} if begun else _list_of_packages()), **dict.fromkeys(begun, "")}
    for name, summary in names.items():
        command = ALIASES.get(name, name)
        one = chosen.add_parser(name, help=summary.replace("%", "%%"))
        if name in typed and command in COMMANDS:
            cast("Command", import_module(f"openrtc.cli.{command.replace('-', '_')}")).add_arguments(one)
            add_common_options(one)
    _add_completers(parser)
    return parser


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quote is open
        return line.split()


def _add_completers(parser: argparse.ArgumentParser) -> None:
    kinds = {setting.flag: setting.kind for setting in SETTINGS if setting.flag}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                _add_completers(one)
            continue
        kind = next((kinds[flag] for flag in action.option_strings if flag in kinds), None)
        metavar = str(action.metavar or "")
        completer: Any = None
        if isinstance(kind, Choice):
            completer = partial(_list_words, kind.words)
        elif metavar.startswith("AGENT") or (kind and kind.names_of == AGENTS):
            completer = _list_agents
        elif metavar == "PACKAGE" or (kind and kind.names_of == DISTRIBUTIONS):
            completer = _list_distributions
        elif metavar == "FILE":
            completer = FilesCompleter()
        if completer:
            action.completer = completer  # type: ignore[attr-defined]  # argcomplete's way


def _list_words(words: Collection[str], **_: Any) -> Collection[str]:
    return words


def _list_agents(**_: Any) -> list[str]:
    return [entry.name for entry in _discover() if entry.is_agent and entry.usable]


def _list_distributions(**_: Any) -> list[str]:
    return sorted({name for entry in _discover() if DISTRIBUTION.fullmatch(name := entry.distribution)})


def _list_of_packages() -> Mapping[str, str]:
    from openrtc.cli.package_commands import find_commands

    return {entry.name: entry.summary for entry in find_commands(_discover()) if entry.usable}


def _discover() -> Iterable[Any]:
    from openrtc.discovery.discover import discover
    from openrtc.settings.load import load_config

    config = Config()
    with contextlib.suppress(OpenRTCError):  # of the settings: a shell has no place to tell it
        config = load_config()
    return discover(config)
