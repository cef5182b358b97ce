"""Settings as flags: each command takes some of the list in `openrtc.settings.config`, and reads all of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from openrtc.cli.commands import Action, Pool
from openrtc.cli.help import Formatter, show_examples
from openrtc.cli.output import print_warning
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.env_files import ENV_FILE_FLAG
from openrtc.settings.kinds import Number, Some
from openrtc.settings.setting import Setting

_CONNECTION = ("worker.url", "worker.api_key", "worker.api_secret")
_SESSION = ("defaults.offline", "worker.log_level", "worker.log_format")
_ROUTING = (
    "routing.prefix_agents",
    "routing.room_metadata_agents",
    "routing.job_metadata_agents",
    "routing.attribute_agents",
    "routing.agent_name_agents",
    "routing.internal",
    "routing.signed",
)
_PACKAGES = tuple(setting for setting in SETTINGS if setting.table == "plugins")

ACTION_ALIASES = {"list": ["ls"], "delete": ["rm"]}
"""Other words that people type for an action."""

COMMON_FLAGS = ("--config", ENV_FILE_FLAG, *(setting.flag for setting in _PACKAGES))
"""Flags of every command, which may also stand before it; each takes a value."""


def add_connection_options(parser: argparse.ArgumentParser, *more: str) -> None:
    """Add how to reach the LiveKit server, and further settings by their paths."""
    _add(parser, _pick(*_CONNECTION, *more))


def add_settings(parser: argparse.ArgumentParser, *paths: str) -> None:
    """Add settings by their paths."""
    _add(parser, _pick(*paths))


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add what concerns the sessions of a single call."""
    _add(parser, _pick(*_SESSION))


def add_routing_options(parser: argparse.ArgumentParser) -> None:
    """Add which agents a room's name and its metadata may choose."""
    _add(parser, _pick(*_ROUTING))


def add_worker_options(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """Add every setting of a worker that has a flag.

    Args:
        parser: The command's parser.
        without: The paths of those that the command does not have.
    """
    _add(parser, [one for one in SETTINGS if one.flag and one.table != "plugins" and one.path not in without])


def add_common_options(parser: argparse.ArgumentParser, **more: Any) -> None:
    """Add which files to read and which packages to use.

    Args:
        parser: The parser.
        **more: Further arguments of ``add_argument`` for each option.
    """
    group = parser.add_argument_group("packages")
    group.add_argument("--config", metavar="FILE", help="settings file (default: openrtc.toml; OPENRTC_CONFIG)", **more)
    files = "file of variables, in place of .env and .env.local; may be given several times"
    group.add_argument(ENV_FILE_FLAG, metavar="FILE", action="append", help=files, **more)
    for setting in _PACKAGES:
        _add_one(group, setting, **more)


def add_actions(parser: argparse.ArgumentParser, actions: Mapping[str, Action]) -> None:
    """Add the actions of a command, such as ``create`` of ``openrtc dispatch``; ``args.run`` is the chosen one's.

    Args:
        parser: The command's parser.
        actions: What the actions do, by their names.
    """
    chosen = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, action in actions.items():
        described = f"{action.summary[0].upper()}{action.summary[1:]}."
        one = chosen.add_parser(
            name,
            aliases=ACTION_ALIASES.get(name, ()),
            help=action.summary,
            description=described,
            epilog=show_examples(action.examples),
            allow_abbrev=False,
            formatter_class=Formatter,
        )
        action.add_arguments(one)
        # Suppressed, so that what stands before the action is not overwritten with nothing.
        add_common_options(one, default=argparse.SUPPRESS)
        if action.run:
            one.set_defaults(run=action.run)


def read_settings(args: argparse.Namespace, tell: Callable[[str], object] | None = print_warning) -> Config:
    """Read the settings for a command that only looks.

    Args:
        args: The parsed command line.
        tell: Takes each line about something that was left out; None where they are logged later.

    Raises:
        OpenRTCError: A setting is wrong.
    """
    from openrtc.settings.load import load_config

    config = load_config(args.config, overrides=vars(args), env_files=args.env_file or ())
    if tell:
        for line in config.env_files.left_out:
            tell(line)
    return config


def read_config(
    args: argparse.Namespace, tell: Callable[[str], object] | None = print_warning, **defaults: Any
) -> Config:
    """Read the settings for a command that runs agents or talks to a LiveKit server.

    Args:
        args: The parsed command line; ``args.pool`` is the pool that runs it, if any.
        tell: Takes each line about something that was left out; None where they are logged later.
        **defaults: Worker settings that this command uses where none is given.

    Raises:
        OpenRTCError: A setting is wrong.
    """
    # importlib_metadata takes a third of the time of a command that reads no packages, such as `openrtc top`.
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata

    config = read_settings(args, tell)
    tolerate_unreadable_metadata()
    config.env_files.export(os.environ)
    return configure_by_pool(args, config).with_worker_defaults(**defaults)


def configure_by_pool(args: argparse.Namespace, config: Config) -> Config:
    """Return the settings with what was given to the pool that runs the command, if any."""
    pool: Pool | None = args.pool
    return pool.configure(config) if pool else config


def runtime_arguments(args: argparse.Namespace) -> Mapping[str, Any]:
    """Return the further arguments of ``build_runtime``."""
    pool: Pool | None = args.pool
    return pool.runtime_arguments if pool else {}


def require_supervisor(config: Config) -> None:
    """Raise where the operator wants workers to be replaced, and nobody does.

    Raises:
        OpenRTCError: Likewise.
    """
    from openrtc.errors import OpenRTCError

    if config.policy.pick_up == "roll":
        origin = config.origins.get("plugins.pick_up", "pick_up")
        fix = "run openrtc start with --processes, or take tell or new"
        raise OpenRTCError('pick_up = "roll" needs a supervisor, which replaces the workers', origin=origin, fix=fix)


def require_credentials(config: Config) -> None:
    """Raise where it is not known how to reach the LiveKit server.

    Raises:
        OpenRTCError: Says what is missing.
    """
    from openrtc.dispatch.connection import LiveKitConnection

    LiveKitConnection.of(config.worker)


def _pick(*paths: str) -> list[Setting]:
    by_path = {setting.path: setting for setting in SETTINGS}
    return [by_path[path] for path in paths]


def _add(parser: argparse.ArgumentParser, settings: Collection[Setting]) -> None:
    """Add the flags of settings, below their headings."""
    for section in dict.fromkeys(setting.section for setting in settings):
        group = parser.add_argument_group(section)
        for setting in settings:
            if setting.section == section:
                _add_one(group, setting)


def _add_one(group: Any, setting: Setting, **more: Any) -> None:
    help_text = f"{setting.description} ({_describe(setting)})".replace("%", "%%")  # argparse formats it with %
    if not setting.kind.metavar:
        group.add_argument(setting.flag, action="store_true", default=None, help=help_text)
        return
    action = "append" if setting.kind.repeatable else "store"
    group.add_argument(setting.flag, action=action, metavar=setting.kind.metavar, help=help_text, **more)


def _describe(setting: Setting) -> str:
    """Return the values, the default and the variable, as far as they are not plain from the rest of ``--help``."""
    kind, default = setting.kind, setting.default
    values = kind.values if isinstance(kind, Number | Some) else ""
    usual = "all" if isinstance(kind, Some) and default == kind.words else default
    return "; ".join(hint for hint in (values, f"default: {usual}" if usual else "", setting.variable) if hint)
