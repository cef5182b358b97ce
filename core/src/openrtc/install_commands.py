"""Commands that install a distribution, as they work where they are pasted.

OpenRTC's own distributions stand on no package index, where anybody may take their names: they are installed from
where openrtc-core was, as its ``direct_url.json`` says (PEP 610).
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CORE = "openrtc-core"
OURS = (
    CORE,
    "openrtc-budget",
    "openrtc-cost",
    "openrtc-livekit-server",
    "openrtc-offline",
    "openrtc-playground",
    "openrtc-recorder",
    "openrtc-redact",
    "openrtc-silero",
    "openrtc-turn-detector",
)
"""The distributions of this project."""

FOLDERS = ("plugins", "sample_agents", "")
"""Where they stand beside the folder of the core."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?(.*)", re.DOTALL)


def install_command(requirement: str, *options: str) -> str:
    """Return the command that installs a distribution into this environment, or says why none can.

    Args:
        requirement: What is to be installed, with extras and versions.
        *options: Further options of pip.
    """
    if (source := find_source(requirement)) is None:
        key = name_requirement(requirement)
        return f"install {key} from the folder or wheel that {CORE} came from: it stands on no package index"
    editable, wanted = source
    return _run_pip("install", *options, *(["-e"] if editable else []), wanted)


def find_source(requirement: str) -> tuple[bool, str] | None:
    """Return what pip is given so that a distribution comes from where it, or the core, was installed from.

    Args:
        requirement: What is to be installed, with extras and versions.

    Returns:
        Whether it is installed as editable, and the folder, file or requirement; None for a distribution of this
        project that stands nowhere, since anybody may take its name at an index.
    """
    match = _REQUIREMENT.fullmatch(requirement)
    extras, rest = (match[2] or "", match[3]) if match else ("", "")
    key = name_requirement(requirement)
    editable, found = _find_ours(key) or (None if rest.strip() else _find_installed(key)) or (False, "")
    if key in OURS and not found:
        return None
    name, at, address = found.partition(" @ ")
    return editable, f"{name}{extras}{at}{address}" if found else requirement


def name_requirement(requirement: str) -> str:
    """Return the normalised name of what a requirement asks for."""
    match = _REQUIREMENT.fullmatch(requirement)
    return re.sub(r"[-_.]+", "-", match[1] if match else requirement).lower()


def editable_command(folder: str) -> str:
    """Return the command that installs a folder as editable.

    Args:
        folder: The folder, with extras.
    """
    return _run_pip("install", "-e", folder)


def uninstall_command(name: str) -> str:
    """Return the command that takes a distribution out of this environment."""
    return _run_pip("uninstall", name)


def _run_pip(command: str, *arguments: str) -> str:
    """Return a command line of the pip of this environment, or of uv where that has none."""
    import shlex  # these cost time that only somebody who has to install something should pay
    import shutil
    from importlib.util import find_spec

    quoted = " ".join([command, *map(shlex.quote, arguments)])
    python, folder = shlex.quote(sys.executable or "python"), os.path.dirname(sys.executable)
    if find_spec("pip"):
        is_first = os.path.dirname(shutil.which("pip") or "") == folder
        return f"pip {quoted}" if is_first else f"{python} -m pip {quoted}"
    if shutil.which("uv"):
        # uv takes the activated environment by itself.
        is_active = os.environ.get("VIRTUAL_ENV") == sys.prefix
        return f"uv pip {quoted}" if is_active else f"uv pip {quoted} --python {python}"
    return f"{python} -m ensurepip && {python} -m pip {quoted}"


@lru_cache
def _find_ours(key: str) -> tuple[bool, str] | None:
    """Return where a distribution of this project, or a sample, stands beside the core, and whether it was editable."""
    origin = _read_origin(CORE)
    address = str(origin.get("url", ""))
    if isinstance(vcs := origin.get("vcs_info"), dict) and key in OURS:
        commit = vcs.get("commit_id") or vcs.get("requested_revision") or ""
        folder = "core" if key == CORE else f"plugins/{key}"
        return False, f"{key} @ {vcs.get('vcs', 'git')}+{address}@{commit}#subdirectory={folder}"
    path = _read_path(address)
    if path is None:
        return None
    if path.suffix in (".whl", ".gz"):  # the wheels of one build lie in one folder
        files = sorted(path.parent.glob(f"{key.replace('-', '_')}-*{path.suffix}"))
        return (False, str(files[-1])) if files else None
    if key == CORE:
        return _find_installed(CORE)
    folders = [path.parent / folder / key for folder in FOLDERS]
    return next(((False, str(folder)) for folder in folders if (folder / "pyproject.toml").is_file()), None)


def _find_installed(key: str) -> tuple[bool, str] | None:
    """Return whether an installed distribution is editable, and the folder or file it came from, if from no index."""
    origin = _read_origin(key)
    path, info = _read_path(str(origin.get("url", ""))), origin.get("dir_info")
    editable = isinstance(info, dict) and bool(info.get("editable"))
    return (editable, str(path)) if path and path.exists() else None


def _read_path(address: str) -> Path | None:
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _read_origin(name: str) -> dict[str, Any]:
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        document = json.loads(distribution(name).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError, OSError):
        return {}
    return document if isinstance(document, dict) else {}
