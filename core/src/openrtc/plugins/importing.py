"""Imports what an entry points at, whatever the package does at import."""

from __future__ import annotations

import importlib.util
import pkgutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Generic, TypeVar

import importlib_metadata

from openrtc.discovery.entries import Entry
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import install_command
from openrtc.model.hung_package import IMPORT
from openrtc.model.status import Status
from openrtc.plugins.fault import Fault, describe_error, locate_error
from openrtc.plugins.guard.clock import PackageCode
from openrtc.plugins.guard.scope import ExitAtOnce, package_scope
from openrtc.plugins.own_modules import import_entry_module, imported_name, keep_path_apart, package_of
from openrtc.suggest import closest, did_you_mean

T = TypeVar("T")

DISTRIBUTION_OF_MODULE = {
    "PIL": "Pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "google.protobuf": "protobuf",
    "jwt": "PyJWT",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Modules whose distribution has another name."""


@dataclass(frozen=True, slots=True)
class GuardedResult(Generic[T]):
    """What a guarded step gave: a value, or why it failed, and its milliseconds."""

    value: T | None
    failure: Status | None
    ms: float


def run_guarded(entry: Entry, step: Callable[[], T], what: str = IMPORT) -> GuardedResult[T]:
    """Run ``step``, which runs a package's code: whatever it raises is a fault, and nothing that it changes stays so.

    What it prints goes to standard error; `package_scope` says what else is kept from it.

    BaseException, since packages exit at import (``sys.exit``), and third-party code raises its own. Only
    KeyboardInterrupt passes: it is the user's.

    Args:
        entry: Whose code it is.
        step: Runs it.
        what: What the clock says that it is.
    """
    started = time.perf_counter()
    value, failure = None, None
    code = PackageCode(entry.distribution, describe_entry(entry), entry.module, what)
    with package_scope(lambda: describe_entry(entry), code):
        try:
            with keep_path_apart(entry):
                value = step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the package's, whatever it is: see the docstring
            failure = explain_error(error, entry).status
    return GuardedResult(value, failure, round((time.perf_counter() - started) * 1000, 3))


def describe_entry(entry: Entry) -> str:
    """Return whose an entry is, for a line: distribution, version, entry point and file."""
    file = getattr(sys.modules.get(imported_name(entry)), "__file__", None) or entry.value
    return one_line(f'{entry.distribution} {entry.version} (entry point "{entry.name}", {file})')


def import_target(entry: Entry) -> object:
    """Return the object that the entry points at; raises `Fault` when its module lacks it."""
    tolerate_unreadable_metadata()
    _, _, path = entry.value.partition(":")
    target: object = import_entry_module(entry)
    for part in path.split(".") if path else ():
        try:
            target = getattr(target, part)
        except AttributeError:
            raise _missing_attribute(target, part, entry) from None
    return target


def explain_error(error: BaseException, entry: Entry) -> Fault:
    """Explain an error that a package raised."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, OpenRTCError):
        return Fault(error.message, error.fix or _suggest_update(entry), locate_error(error, entry))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_module(error.name, error, entry)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno or 1}"
        return Fault(f"{type(error).__name__}: {error.msg}", f"fix that line, or deny {entry.distribution}", place)
    if isinstance(error, SystemExit):
        fix = 'nothing may exit at import: put it below if __name__ == "__main__":'
        called = "os._exit" if isinstance(error, ExitAtOnce) else "sys.exit"
        return Fault(f"called {called}({error.code!r}) at import", fix, locate_error(error, entry))
    return Fault(describe_error(error), _suggest_update(entry), locate_error(error, entry))


def _suggest_update(entry: Entry) -> str:
    return f"fix or update {entry.distribution}, or switch it off: --deny {entry.distribution}"


def _missing_attribute(holder: object, part: str, entry: Entry) -> Fault:
    where = getattr(holder, "__name__", entry.value).removeprefix(f"{package_of(entry.distribution)}.")
    place = getattr(sys.modules.get(imported_name(entry)), "__file__", None)
    own = _list_own(holder)
    there_are = f"; there are {', '.join(own[:5])}" if own else ""
    fix = did_you_mean(part, own, f'define it, or correct {entry.name} = "{entry.value}"{there_are}')
    return Fault(f'{where} has no attribute "{part}"', fix, place)


def _list_own(holder: object) -> list[str]:
    """Return the public names that a module or class defines, of a module that defines none those of its package."""
    public = {name: value for name, value in getattr(holder, "__dict__", {}).items() if not name.startswith("_")}
    if not isinstance(holder, ModuleType):
        return list(public)
    homes = {name: str(getattr(value, "__module__", "")) for name, value in public.items()}
    top = holder.__name__.partition(".")[0]
    own = [name for name, home in homes.items() if home == holder.__name__]
    return own or [name for name, home in homes.items() if home.partition(".")[0] == top]


def _missing_module(name: str, error: ModuleNotFoundError, entry: Entry) -> Fault:
    module = entry.module
    if module == name or module.startswith(name + "."):
        fix = _similar_module(name, entry)
        fix = fix or f"{install_command(entry.distribution, '--force-reinstall')}, or correct its entry point"
        return Fault(f'the entry point names the module "{name}", which does not exist', fix, _declared_at(entry))
    place = locate_error(error, entry)
    top = name.partition(".")[0]
    if top == module.partition(".")[0] and not _is_namespace(imported_name(entry, top)):
        fix = _similar_module(name, entry) or install_command(entry.distribution, "--force-reinstall")
        return Fault(f'imports its own module "{name}", which does not exist', fix, place)
    reason = f'{entry.distribution} imports "{name}", which is not installed'
    return Fault(reason, _suggest_install(name, entry), place)


def _suggest_install(name: str, entry: Entry) -> str:
    """Return the command that installs a module, where it is known which distribution has it.

    A name that is only made from the module's may be somebody else's at the index, and would be installed.
    """
    parent, _, last = name.rpartition(".")
    top = name.partition(".")[0]
    if parent and not _is_namespace(parent) and parent in sys.modules:
        if names := importlib_metadata.packages_distributions().get(top):
            return install_command(names[0], "--upgrade")
    elif parent == "livekit.plugins" and (extra := last.replace("_", "-")) in _list_livekit_extras():
        return install_command(f"livekit-agents[{extra}]")
    elif known := DISTRIBUTION_OF_MODULE.get(name) or DISTRIBUTION_OF_MODULE.get(top):
        return install_command(known)
    return f"install what brings that module, which {entry.distribution} should require, or --deny {entry.distribution}"


def _list_livekit_extras() -> list[str]:
    try:
        return importlib_metadata.metadata("livekit-agents").get_all("Provides-Extra") or []
    except importlib_metadata.PackageNotFoundError:
        return []


def _is_namespace(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and getattr(module, "__file__", None) is None


def _similar_module(name: str, entry: Entry) -> str | None:
    parent, _, last = name.rpartition(".")
    if not parent and "-" in name and importlib.util.find_spec(name.replace("-", "_")):  # the distribution's own name
        return f'did you mean "{name.replace("-", "_")}"?'
    folders = _folders_of(imported_name(entry, parent), package_of(entry.distribution)) if parent else []
    near = closest(last, [found.name for found in pkgutil.iter_modules(folders)])
    return f'did you mean "{parent}.{near}"?' if near else None


def _folders_of(package: str, distribution_package: str) -> list[str]:
    """Return where a package's modules are, also of a top-level one whose import has just failed."""
    if package in sys.modules:
        return list(getattr(sys.modules[package], "__path__", []))
    is_top_level = package.rpartition(".")[0] in ("", distribution_package)
    spec = importlib.util.find_spec(package) if is_top_level else None
    return list(spec.submodule_search_locations or []) if spec else []


def _declared_at(entry: Entry) -> str | None:
    """Return the line of `entry_points.txt` that declares the entry."""
    try:
        distribution = importlib_metadata.distribution(entry.distribution)
        text = distribution.read_text("entry_points.txt") or ""
    except Exception:
        return None  # the distribution was read a moment ago; gone now, it has no line to show
    folder = getattr(distribution, "_path", None)
    lines = [number for number, line in enumerate(text.split("\n"), 1) if _declares(line, entry)]
    return f"{folder}/entry_points.txt:{lines[0]}" if folder and lines else None


def _declares(line: str, entry: Entry) -> bool:
    name, _, value = (part.strip() for part in line.partition("="))
    return name == entry.name and value.startswith(entry.value)
