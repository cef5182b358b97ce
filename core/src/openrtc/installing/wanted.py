"""`Wanted`: one thing that somebody asks to install, as they have typed it and as pip is given it."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from openrtc.discovery.installed import find_named
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import find_source, install_command, name_requirement
from openrtc.suggest import did_you_mean

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Wanted(NamedTuple):
    """One thing that is to be installed.

    Args:
        text: What pip is given: a requirement, a path or an address.
        key: Its normalised name, as far as it can be told beforehand.
        editable: Whether it is installed as editable.
        upgrade: Whether its newest version is meant.
    """

    text: str
    key: str = ""
    editable: bool = False
    upgrade: bool = False

    @property
    def is_direct(self) -> bool:
        """Whether it comes from a path or an address, and not from an index."""
        return self.editable or is_place(self.text) or " @ " in self.text


def read_wanted(text: str, *, editable: bool, upgrade: bool) -> Wanted:
    """Return what somebody asks to install.

    Args:
        text: A requirement, a path, or an address.
        editable: Whether it is to be installed as editable.
        upgrade: Whether its newest version is meant.

    Raises:
        OpenRTCError: It cannot be meant so.
    """
    if text.startswith("-") or not text.strip():
        raise OpenRTCError(f"{one_line(text, 60) or 'nothing'!r} is neither a package nor a path")
    if editable or is_place(text):
        if "://" not in text and not os.path.exists(path := _drop_extras(text)):
            raise OpenRTCError(f"there is no {path}", fix="name a folder with a pyproject.toml, or a wheel")
        return Wanted(text, _name_place(text), editable, upgrade)
    key = name_requirement(text)
    there = key in find_named()
    if _PLAIN_NAME.fullmatch(text):
        if upgrade and not there:
            raise OpenRTCError(
                f"{text} is not installed", fix=did_you_mean(key, find_named(), f"openrtc install {text}")
            )
        if not there and os.path.isfile(os.path.join(text, "pyproject.toml")):
            raise OpenRTCError(f"{text} without ./ is a name at the package index", fix=f"openrtc install -e ./{text}")
    if there and not upgrade:
        return Wanted(text, key)
    if (source := find_source(text)) is None:
        raise OpenRTCError(f"{key} stands on no package index", fix=install_command(text))
    return Wanted(source[1], key, source[0], upgrade)


def is_place(text: str) -> bool:
    """Whether a text is a path or an address rather than a requirement with a name."""
    before = text.partition(" @ ")[0]
    return before.startswith((".", "/", "~")) or os.sep in before or "/" in before or before.lower().endswith(ARCHIVES)


def _drop_extras(text: str) -> str:
    return re.sub(r"\[[^\]]*\]$", "", text)


def _name_place(text: str) -> str:
    if "://" in text:
        found = re.search(r"#(?:.*&)?egg=([\w.-]+)", text)
        name = found[1] if found else _name_file(urlsplit(text).path)
    else:
        path = Path(_drop_extras(text))
        name = _name_folder(path) if path.is_dir() else _name_file(path.name)
    return name_requirement(name) if name else ""


def _name_file(path: str) -> str:
    return path.rpartition("/")[2].partition("-")[0] if path.endswith(".whl") else ""


def _name_folder(folder: Path) -> str:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["name"])
    except (OSError, ValueError, LookupError, TypeError):  # its build says what is wrong, or knows another way
        return ""
