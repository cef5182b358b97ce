"""`Subject`: the distribution that is checked, installed here or in a throw-away folder beside this environment."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import importlib_metadata

from openrtc.check.building import PYPROJECT, MissingBackend, build_wheel
from openrtc.check.wheels import SUFFIX, unpack_wheel
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.names import normalise_name
from openrtc.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Subject:
    """The distribution that is checked.

    Args:
        name: Its name.
        version: Its version.
        metadata: The text of its METADATA.
        site: The throw-away folder that it is installed in; None where it is installed in this environment.
        note: What to know about how it was installed.
    """

    name: str
    version: str
    metadata: str
    site: Path | None = None
    note: str = ""


@contextlib.contextmanager
def open_subject(asked: str) -> Iterator[Subject]:
    """Find what is to be checked; a folder or wheel is installed for the time of a ``with`` block.

    Args:
        asked: The name of an installed distribution, the folder of a project, or a wheel.

    Raises:
        OpenRTCError: There is no such thing, or it cannot be installed.
    """
    path = Path(asked).expanduser()
    is_path = asked.endswith(SUFFIX) or os.sep in asked or "/" in asked or asked in (".", "..")
    if not is_path and (found := _find_installed(asked)):
        yield found
        return
    if not is_path and not path.is_dir():
        raise _explain_unknown(asked)
    if not path.exists():
        raise OpenRTCError(f"there is no such {'file' if asked.endswith(SUFFIX) else 'folder'}", origin=asked)
    if path.is_file() and path.name == PYPROJECT:
        path = path.parent
    if path.is_file() and path.suffix != SUFFIX:
        raise OpenRTCError("it is neither a project's folder nor a wheel", origin=asked, fix="build a wheel of it")
    with tempfile.TemporaryDirectory(prefix="openrtc-check-", ignore_cleanup_errors=True) as scratch:
        yield _install(path.resolve(), Path(scratch))


def _install(path: Path, scratch: Path) -> Subject:
    site, build = scratch / "site", scratch / "build"
    site.mkdir()
    build.mkdir()
    wheel = path
    if path.is_dir():
        try:
            wheel = build_wheel(path, build)
        except MissingBackend as error:
            found = _find_editable(path)
            if found is None:
                raise
            note = f"checked as it is installed here, from {path}: {error.message}"
            return Subject(found.name, found.version, found.metadata, note=one_line(note))
    unpack_wheel(wheel, site)
    (distribution,) = importlib_metadata.distributions(path=[str(site)])
    return _describe(distribution, site)


def _find_installed(name: str) -> Subject | None:
    try:
        return _describe(importlib_metadata.distribution(name))
    except (importlib_metadata.PackageNotFoundError, ValueError):
        return None


def _find_editable(project: Path) -> Subject | None:
    """Return the distribution that is installed as editable from a folder."""
    for one in importlib_metadata.distributions():
        try:
            address = urlsplit(json.loads(one.read_text("direct_url.json") or "{}").get("url", ""))
        except (ValueError, AttributeError):
            continue
        if address.scheme == "file" and Path(unquote(address.path)).resolve() == project:
            return _describe(one)
    return None


def _describe(one: Any, site: Path | None = None) -> Subject:
    text = one.read_text("METADATA") or one.read_text("PKG-INFO") or ""
    name, version = (str(one.metadata.get(field) or "") for field in ("Name", "Version"))
    return Subject(one_line(name, 120), one_line(version, 60), text, site)


def _explain_unknown(asked: str) -> OpenRTCError:
    ours = {
        name
        for one in importlib_metadata.distributions()
        if (name := one.name) and any("openrtc." in point.group for point in one.entry_points)
    }
    fix = "name an installed package, the folder of a project, or a wheel"
    near = did_you_mean(normalise_name(asked), sorted(ours), fix)
    return OpenRTCError(f"{asked!r:.100} is not installed, and no folder", fix=near)
