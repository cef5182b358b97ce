"""What is wrong with what pip has installed: this Python, OpenRTC's requirements, and what is left of others."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from openrtc.discovery.claimed_files import CODE, HARMLESS, list_recorded
from openrtc.discovery.installed import find_installed, read_origin
from openrtc.discovery.metadata import read_metadata
from openrtc.discovery.metadata_folders import LEFTOVER, Installed, list_installed
from openrtc.discovery.own_requirements import LIVEKIT_AGENTS, find_own_problems
from openrtc.discovery.plain_requirements import python_version
from openrtc.doctor.results import LEFTOVERS, MEND_FIRST, REQUIREMENTS, fail, guard, of_error, of_line, ok, warn
from openrtc.errors import summarize_error
from openrtc.install_commands import install_command, uninstall_command
from openrtc.model.check_result import CheckResult, Verdict
from openrtc.model.names import OWN_DISTRIBUTION

INTERPRETER = "python"
PACKAGES = "packages"
"""What lines about installed packages are called that belong to none of their agents and plugins."""
SHOWN = (OWN_DISTRIBUTION, LIVEKIT_AGENTS, "livekit")
"""Distributions whose versions are told."""


def examine_installation(error: ImportError, environ: Mapping[str, str]) -> list[CheckResult]:
    """Return what can be found where OpenRTC itself cannot be imported.

    Args:
        error: Why it cannot.
        environ: The environment.
    """
    message = f"nothing else can be looked at: {summarize_error(error, 200)}"
    return [
        *check_python(environ),
        *guard(REQUIREMENTS, check_requirements),
        fail(PACKAGES, message, MEND_FIRST),
        *guard(LEFTOVERS, lambda: check_leftovers(())),
    ]


def check_python(environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Check in which environment this program runs.

    Args:
        environ: The environment.
    """
    apart = "" if sys.prefix != sys.base_prefix else ", in no virtual environment"
    yield ok(INTERPRETER, f"Python {python_version()}, {sys.executable}{apart}")
    active = environ.get("VIRTUAL_ENV", "")
    if active and os.path.realpath(active) != os.path.realpath(sys.prefix):
        program = f"{active}/bin/openrtc"
        fix = f"run {shlex.quote(program)}" if os.path.exists(program) else f"install {OWN_DISTRIBUTION} there"
        message = f"{active} is activated, and this openrtc is another environment's: {sys.prefix}"
        yield warn(INTERPRETER, message, f"{fix}, or deactivate")


def check_requirements() -> Iterator[CheckResult]:
    """Check what OpenRTC itself requires; one that is vital and missing is a fault."""
    installed = find_installed().distributions
    if OWN_DISTRIBUTION not in installed:
        message = f"{OWN_DISTRIBUTION} is not installed, and its source is on the path: what it requires is unknown"
        yield warn(REQUIREMENTS, message, f"install {OWN_DISTRIBUTION} from its folder: pip install -e core")
        return
    unreadable: list[str] = []
    problems = list(find_own_problems(unreadable.append))
    for problem in problems:
        yield of_error(REQUIREMENTS, problem.error, Verdict.FAULT if problem.vital else Verdict.WARNING)
    for line in unreadable:
        yield of_line(REQUIREMENTS, line, fix=install_command(OWN_DISTRIBUTION, "--force-reinstall", "--no-deps"))
    if not problems:
        versions = (installed[name] for name in SHOWN if name in installed)
        told = (f"{one.key} {one.version or read_metadata(one).version}" for one in versions)
        yield ok(REQUIREMENTS, f"{', '.join(told)}, and all that it requires")


def check_leftovers(passed_over: Iterable[str]) -> Iterator[CheckResult]:
    """Check what is half uninstalled.

    Args:
        passed_over: The lines about what was passed over of agents and plugins, each with its fix.
    """
    found = [*(of_line(LEFTOVERS, line) for line in passed_over), *_list_halves(list(list_installed()))]
    yield from found
    if not found:
        yield ok(LEFTOVERS, "nothing is half uninstalled")


def _list_halves(installed: Iterable[Installed]) -> Iterator[CheckResult]:
    places: dict[str, None] = {}
    for one in installed:
        if one.place:
            places[one.place] = None
        if one.is_leftover:
            continue
        if folder := _find_lost_source(one):
            fix = f"{uninstall_command(one.key)}, or bring that folder back"
            yield fail(LEFTOVERS, f"{one.key} is installed editable from {folder}, which is gone", fix, one.folder)
        elif lost := _count_lost(one):
            wanted = one.key if read_origin(one) or not one.version else f"{one.key}=={one.version}"
            fix = install_command(wanted, "--force-reinstall", "--no-deps")
            yield fail(LEFTOVERS, f"{one.key} {one.version} is half uninstalled: {lost} are gone", fix, one.folder)
    for place in places:
        yield from _list_renamed(place)


def _list_renamed(place: str) -> Iterator[CheckResult]:
    """Yield what pip has renamed to take it away, and has left."""
    try:
        names = sorted(name for name in os.listdir(place) if name.startswith(LEFTOVER))
    except OSError:
        return
    if names:
        paths = [os.path.join(place, name) for name in names]
        message = f"pip was interrupted, and has left {', '.join(names)} in {place}"
        yield warn(LEFTOVERS, message, f"rm -r {' '.join(map(shlex.quote, paths))}")


def _find_lost_source(one: Installed) -> str | None:
    """Return the folder that an editable installation leads to, where it is gone."""
    origin = read_origin(one)
    info, parts = origin.get("dir_info"), urlsplit(str(origin.get("url", "")))
    if not (isinstance(info, dict) and info.get("editable")) or parts.scheme != "file":
        return None
    folder = unquote(parts.path)
    return None if os.path.isdir(folder) else folder


def _count_lost(one: Installed) -> str | None:
    """Return how many of a distribution's files are gone; None where those are there that make it a package.

    Single files may be missing, as where somebody has made an image smaller.
    """
    code = [path for path, _ in list_recorded(one) if _is_code(path)]
    if not one.place or not code:
        return None
    lost = [path for path in code if not os.path.exists(f"{one.place}/{path}")]
    if 2 * len(lost) > len(code) or any(path.count("/") == 1 and path.endswith("/__init__.py") for path in lost):
        return f"{len(lost)} of its {len(code)} files"
    return None


def _is_code(path: str) -> bool:
    first, *_ = parts = path.split("/")
    return first not in ("..", "") and path.endswith(CODE) and not set(parts) & set(HARMLESS)
