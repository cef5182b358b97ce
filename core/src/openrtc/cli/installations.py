"""What `openrtc install`, `upgrade` and `uninstall` share: they say first what changes, and then what came of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openrtc.errors import OpenRTCError, one_line

if TYPE_CHECKING:
    from openrtc.discovery.entries import Entry
    from openrtc.installing.installer import PlannedChange

PIP_OPTIONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("-i", "--index-url"), "URL", "the package index"),
    (("--extra-index-url",), "URL", "a further package index"),
    (("-f", "--find-links"), "PLACE", "a folder or page with wheels"),
    (("--no-index",), "", "ask no package index"),
    (("--pre",), "", "pre-releases too"),
    (("--no-build-isolation",), "", "build with what is installed here"),
    (("--no-cache-dir",), "", "use no cache"),
)
"""Options that pip and uv share, and their metavars; those without one are flags."""


def add_install_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `openrtc install` and `upgrade` take."""
    parser.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="name, with a version if need be, folder, wheel or address"
    )
    parser.add_argument(
        "-e", "--editable", action="append", default=[], metavar="PATH", help="a folder whose changes count at once"
    )
    add_plan_options(parser)
    shared = parser.add_argument_group("options of pip and uv")
    for flags, metavar, text in PIP_OPTIONS:
        if metavar:
            shared.add_argument(*flags, action="append", default=[], metavar=metavar, help=text)
        else:
            shared.add_argument(*flags, action="store_true", help=text)


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add whether somebody is asked, and whether anything is done."""
    parser.add_argument("-y", "--yes", action="store_true", help="do it without a question")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def install_packages(args: argparse.Namespace, *, upgrade: bool) -> int:
    """Install packages, and say what came of it.

    Args:
        args: What `add_install_arguments` has added.
        upgrade: Whether the newest versions are meant.

    Returns:
        0, or 1 where something of them cannot be used.

    Raises:
        OpenRTCError: They cannot be installed, or nobody can be asked.
    """
    from openrtc.cli.output import show_progress
    from openrtc.install_commands import install_command
    from openrtc.installing.held import find_held
    from openrtc.installing.installer import Installer
    from openrtc.installing.wanted import read_wanted

    wanted = [read_wanted(path, editable=True, upgrade=upgrade) for path in args.editable]
    wanted += [read_wanted(text, editable=False, upgrade=upgrade) for text in args.packages]
    if not wanted:
        raise OpenRTCError("no package is named", fix="openrtc install PACKAGE")
    held = find_held()
    for one in wanted:
        if one.key in held.versions and (one.upgrade or one.is_direct):
            reason = f"{_name_held(one.key)}: its version stays while the agents here run on it"
            raise OpenRTCError(reason, fix=f"{install_command(one.key, '--upgrade')}, and restart the workers")
    options, installer = _list_options(args), Installer(held)
    with show_progress(f"asking {installer.name} what changes"):
        changes = installer.plan(wanted, options)
    if not changes:
        print("Everything is installed already; nothing changes.")
        return 0
    if not _confirm(changes, args, "Install"):
        return 0
    with show_progress("installing"):
        installer.install(wanted, options)
    code = _report(changes, args)
    _tell_workers("without what was installed")
    return code


def uninstall_packages(args: argparse.Namespace) -> int:
    """Uninstall packages.

    Raises:
        OpenRTCError: One is not installed, or the core needs it, or nobody can be asked.
    """
    from openrtc.discovery.discover import discover
    from openrtc.discovery.installed import find_named
    from openrtc.install_commands import name_requirement, uninstall_command
    from openrtc.installing.held import find_held
    from openrtc.installing.installer import Installer, PlannedChange
    from openrtc.settings.config import Config
    from openrtc.suggest import did_you_mean

    installed, held = find_named(), find_held()
    keys = dict.fromkeys(map(name_requirement, args.packages))
    for key in keys:
        if key not in installed:
            agents = {entry.name: entry.distribution for entry in discover(Config())}
            fix = f"{key} is of {agents[key]}" if key in agents else did_you_mean(key, installed, "see pip list")
            raise OpenRTCError(f"{one_line(key, 60)} is not installed", fix=fix)
        if key in held.needed:
            raise OpenRTCError(f"{_name_held(key)}: without it no agent runs", fix=uninstall_command(key))
    changes = [PlannedChange(key, installed[key].version, None, True) for key in keys]
    installer = Installer(held)
    if not _confirm(changes, args, "Uninstall", always=True):
        return 0
    installer.uninstall(list(keys))
    print(f"Uninstalled {', '.join(f'{change.key} {change.before}' for change in changes)}.")
    _tell_workers("with what was uninstalled")
    return 0


def _name_held(key: str) -> str:
    from openrtc.model.names import OWN_DISTRIBUTION

    return f"{key} is OpenRTC itself" if key == OWN_DISTRIBUTION else f"{OWN_DISTRIBUTION} requires {key}"


def _list_options(args: argparse.Namespace) -> list[str]:
    options: list[str] = []
    for flags, metavar, _ in PIP_OPTIONS:
        value = getattr(args, flags[-1].removeprefix("--").replace("-", "_"))
        options += [word for one in value for word in (flags[-1], one)] if metavar else [flags[-1]] * bool(value)
    return options


def _confirm(changes: Sequence[PlannedChange], args: argparse.Namespace, verb: str, *, always: bool = False) -> bool:
    """Say what would change, and return whether it shall.

    Raises:
        OpenRTCError: Somebody has to be asked, and nobody is there.
    """
    from openrtc.installing.held import find_unmet_by

    named = [change for change in changes if change.named]
    added = [change for change in changes if not change.named and change.before is None]
    changed = [change for change in changes if not change.named and change.before is not None]
    unmet = [
        f"{one.key} {one.version} needs {needed}"
        for one, needed in find_unmet_by({change.key: change.after for change in changes if change.before is not None})
    ]
    removed = verb == "Uninstall"
    for what, lines in (
        (f"{verb}:", [f"{one.key} {one.before}" if removed else str(one) for one in named]),
        ("  with it:", map(str, added)),
        ("  which changes what is installed:", map(str, changed)),
        ("  and then is missing:" if removed else "  and then does not fit:", unmet),
    ):
        if listed := list(lines):
            print(f"{what} {', '.join(listed)}")
    if args.dry_run or args.yes or not (always or changed or unmet):
        return not args.dry_run
    sys.stdout.flush()
    if not sys.stdin.isatty():
        raise OpenRTCError("this needs a yes, and nobody can be asked here", fix="add --yes")
    answer = input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    if not answer:
        print("Nothing was changed.")
    return answer


def _report(changes: Sequence[PlannedChange], args: argparse.Namespace) -> int:
    """Say what the installed packages bring, and what of it cannot be used; return 1 where something cannot."""
    from openrtc.cli.output import print_warning
    from openrtc.cli.setting_options import read_settings
    from openrtc.discovery.discover import discover
    from openrtc.discovery.installed import find_named
    from openrtc.model.names import normalise_name

    installed, config = find_named(), read_settings(args)
    entries = discover(config, print_warning)
    code = 0
    for change in changes:
        brought = [entry for entry in entries if normalise_name(entry.distribution) == change.key]
        if not (brought or change.named):
            continue
        what = ", ".join(map(_name_entry, brought)) or "no agent, plugin or command of OpenRTC"
        version = installed[change.key].version if change.key in installed else change.after
        print(f"Installed {change.key} {version}: {what}.")
        for entry in brought:
            if not entry.usable:
                code = code if entry.status.switched_off else 1
                print(one_line(f"{_name_entry(entry)} cannot be used, {entry.state}: {entry.reason} ({entry.fix})"))
        if any(entry.usable for entry in brought):
            code = max(code, _check(change.key, config.policy.import_seconds))
    return code


def _check(name: str, import_seconds: float) -> int:
    """Say in a line what `openrtc check` finds of an installed package; return 1 where no worker can use it."""
    from openrtc.check.card import LEVELS
    from openrtc.check.check import check_package
    from openrtc.cli.output import show_progress

    with show_progress(f"checking {name}"):
        card = check_package(name, import_seconds)
    higher = next((level for level in LEVELS if not card.reaches(level)), None)
    missing = ", ".join(one.rule.name for one in card.list_missing(higher)) if higher else ""
    lacks = f"; {higher} is missing {missing} (openrtc check {name})" if missing else ""
    print(f"Checked {name}: {card.level or 'no level'}{lacks}.")
    return 0 if card.level else 1


def _name_entry(entry: Entry) -> str:
    return f"{'agent' if entry.is_agent else 'command' if entry.is_command else 'plugin'} {entry.name}"


def _tell_workers(how: str) -> None:
    """Say of the running workers of this user and environment what a change means for them."""
    from openrtc.observe.snapshots import read_snapshots
    from openrtc.posix import has_unix_sockets

    snapshots = read_snapshots() if has_unix_sockets() else []
    # A worker that does not answer, or is of an earlier release, does not say in which environment it runs.
    pids = [str(one["pid"]) for one in snapshots if one.get("environment", sys.prefix) == sys.prefix]
    if pids:
        goes, them = (f"Worker {pids[0]} goes", "it") if len(pids) == 1 else (f"Workers {', '.join(pids)} go", "them")
        print(f"{goes} on {how}: restart {them}, or roll what is under a supervisor by SIGHUP.")
