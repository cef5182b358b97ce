"""Makes a package: files of a template, filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from openrtc.discovery.installed import find_named
from openrtc.discovery.metadata import read_metadata
from openrtc.errors import OpenRTCError
from openrtc.install_commands import name_requirement
from openrtc.model.names import OWN_DISTRIBUTION
from openrtc.scaffold.kinds import PACKAGE_KINDS

LIVEKIT_AGENTS_BEFORE = "livekit-agents>=1.8,<1.9"
"""What a package requires where the core does not say which livekit-agents it needs."""

MINORS_TO_COME = 4
"""For so many minor releases what runs on one without a warning runs on: docs/stability.md."""

_FILES = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    "AGENTS.md": "AGENTS.md.in",
    ".gitignore": "gitignore.in",
    ".github/workflows/ci.yml": "workflow.yml.in",
    "src/@module@/__init__.py": "init.py.in",
    "src/@module@/@file@.py": "@kind@.py.in",
    "src/@module@/py.typed": "",
    "tests/test_@module@.py": "test_@kind@.py.in",
}
"""The files of a package, and the template of each; the empty one makes an empty file."""

_WORD = re.compile(r"@([a-z]+)@")


def make_package(kind: str, name: str, module: str, folder: Path) -> list[Path]:
    """Make a package, and return its files.

    Args:
        kind: One of `PACKAGE_KINDS`.
        name: Name of the distribution.
        module: Name of its module.
        folder: Where it is made; it is empty, or is not there.

    Raises:
        OpenRTCError: The folder is in use, or cannot be written to.
    """
    templates = files("openrtc.scaffold") / "templates"
    words = _list_words(kind, name, module)
    made = []
    try:
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise OpenRTCError(f"{folder} is there already", fix="take another name, or make it elsewhere with --into")
        # Where a kind's own file is the package's __init__.py, it takes the place of the other one.
        chosen = {_fill(path, words): _fill(template, words) for path, template in _FILES.items()}
        for path, template in chosen.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / template).read_text("utf-8") if template else ""
            target.write_text(_fill(text, words), encoding="utf-8", newline="\n")
            made.append(target)
    except OSError as error:
        raise OpenRTCError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return made


def _list_words(kind: str, name: str, module: str) -> dict[str, str]:
    what = PACKAGE_KINDS[kind]
    names = {"name": name, "module": module, "kind": kind, "file": what.file}
    return {
        **names,
        "group": what.group,
        "summary": what.summary,
        "target": _fill(what.target, names),
        "line": _fill(what.line, names),
        "tries": "\n".join(f"$ {_fill(line, names)}" for line in what.tries),
        "dependencies": "\n".join(f'    "{one}",' for one in list_dependencies(livekit=what.imports_livekit)),
    }


def list_dependencies(*, livekit: bool) -> Iterator[str]:
    """Yield what a package requires: the installed core, and livekit-agents as that does.

    Args:
        livekit: Whether its code imports livekit-agents.
    """
    core = find_named(OWN_DISTRIBUTION).get(OWN_DISTRIBUTION)
    found = re.match(r"(\d+)\.(\d+)", core.version if core else "")
    major, minor = (int(found[1]), int(found[2])) if found else (0, 1)
    yield f"{OWN_DISTRIBUTION}>={major}.{minor},<{major}.{minor + MINORS_TO_COME}"
    if livekit:
        asked = [text for text, _ in read_metadata(core).requires] if core else []
        found_there = next((one for one in asked if name_requirement(one) == "livekit-agents"), LIVEKIT_AGENTS_BEFORE)
        bounds = found_there.removeprefix("livekit-agents").split(",")
        yield f"livekit-agents{','.join(sorted(bounds, reverse=True))}"  # the lower one first, as people write it


def _fill(text: str, words: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: words[found[1]], text)


def list_next(kind: str, name: str) -> list[str]:
    """Return commands that show what a new package does.

    Args:
        kind: One of `PACKAGE_KINDS`.
        name: Name of the distribution.
    """
    return [_fill(line, {"name": name}) for line in PACKAGE_KINDS[kind].tries]
