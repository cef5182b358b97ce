"""Imports what an entry points at, whatever the package does at import."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import importlib_metadata

from openrtc.discovery.entries import Entry
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
from openrtc.errors import OpenRTCError
from openrtc.plugins.fault import Fault, cause_of, described
from openrtc.suggest import closest, did_you_mean

T = TypeVar("T")

OTHER_NAMES = {
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
class Outcome(Generic[T]):
    """What a guarded step gave: a value or a fault, and its milliseconds."""

    value: T | None
    fault: Fault | None
    ms: float


def guarded(entry: Entry, step: Callable[[], T]) -> Outcome[T]:
    """Run ``step``, which runs a package's code: whatever it raises is a fault, whatever it prints goes to stderr.

    Only KeyboardInterrupt passes: it is the user's.
    """
    started = time.perf_counter()
    value, fault = None, None
    with contextlib.redirect_stdout(sys.stderr):
        try:
            value = step()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fault = fault_of(error, entry)
    return Outcome(value, fault, round((time.perf_counter() - started) * 1000, 3))


def import_target(entry: Entry) -> object:
    """Return the object that the entry points at; raises `Fault` when its module lacks it."""
    tolerate_unreadable_metadata()
    name, _, path = entry.value.partition(":")
    target: object = importlib.import_module(name)
    for part in path.split(".") if path else ():
        try:
            target = getattr(target, part)
        except AttributeError:
            raise _missing_attribute(target, part, entry) from None
    return target


def fault_of(error: BaseException, entry: Entry) -> Fault:
    """Explain an error that a package raised."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, OpenRTCError):
        return Fault(error.message, error.fix or _mend(entry), cause_of(error, entry))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_module(error.name, error, entry)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno or 1}"
        return Fault(f"{type(error).__name__}: {error.msg}", f"mend that line, or deny {entry.distribution}", place)
    if isinstance(error, SystemExit):
        fix = 'nothing may exit at import: put it below if __name__ == "__main__":'
        return Fault(f"called sys.exit({error.code!r}) at import", fix, cause_of(error, entry))
    return Fault(described(error), _mend(entry), cause_of(error, entry))


def _mend(entry: Entry) -> str:
    return f"mend or update {entry.distribution}, or switch it off: --deny {entry.distribution}"


def _missing_attribute(holder: object, part: str, entry: Entry) -> Fault:
    where = getattr(holder, "__name__", entry.value)
    place = getattr(sys.modules.get(entry.value.partition(":")[0]), "__file__", None)
    public = [name for name in vars(holder) if not name.startswith("_")] if hasattr(holder, "__dict__") else []
    fix = did_you_mean(part, public, f'define it, or correct {entry.name} = "{entry.value}"')
    return Fault(f'{where} has no attribute "{part}"', fix, place)


def _missing_module(name: str, error: ModuleNotFoundError, entry: Entry) -> Fault:
    module = entry.value.partition(":")[0]
    if module == name or module.startswith(name + "."):
        fix = _similar_module(name) or f"pip install --force-reinstall {entry.distribution}, or correct its entry point"
        return Fault(f'the entry point names the module "{name}", which does not exist', fix, _declared_at(entry))
    place = cause_of(error, entry)
    if name.partition(".")[0] == module.partition(".")[0] and not _is_namespace(name.partition(".")[0]):
        fix = _similar_module(name) or f"pip install --force-reinstall {entry.distribution}"
        return Fault(f'imports its own module "{name}", which does not exist', fix, place)
    reason = f'{entry.distribution} imports "{name}", which is not installed'
    return Fault(reason, _pip_install(name), place)


def _pip_install(name: str) -> str:
    """Return the command that most likely installs a module."""
    parent = name.rpartition(".")[0]
    if parent and not _is_namespace(parent) and parent in sys.modules:
        top = name.partition(".")[0]
        names = importlib_metadata.packages_distributions().get(top, [top])
        return f"pip install --upgrade {names[0]}"
    known = OTHER_NAMES.get(name) or OTHER_NAMES.get(name.partition(".")[0])
    return f"pip install {known or name.replace('.', '-').replace('_', '-')}"


def _is_namespace(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and getattr(module, "__file__", None) is None


def _similar_module(name: str) -> str | None:
    parent, _, last = name.rpartition(".")
    near = closest(last, [found.name for found in pkgutil.iter_modules(_folders_of(parent))]) if parent else None
    return f'did you mean "{parent}.{near}"?' if near else None


def _folders_of(package: str) -> list[str]:
    """Return where a package's modules are, also of a top-level one whose import has just failed."""
    if package in sys.modules:
        return list(getattr(sys.modules[package], "__path__", []))
    spec = importlib.util.find_spec(package) if "." not in package else None
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
