"""Which LiveKit plugins lack model files that `openrtc download-files` would fetch.

livekit-agents has no question for that, and importing such a plugin takes seconds. So its source is read: where it
downloads from the Hugging Face hub, it names the repositories, and the hub's cache has a folder for each.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from openrtc.doctor.results import ok, warn
from openrtc.model.check_result import CheckResult

MODELS = "model files"
NAME_SPACE = "livekit.plugins"
FIX = "openrtc download-files"
LARGEST_SOURCE = 500_000
"""Bytes that are read of a plugin's module."""
_DOWNLOADS, _HUB = "def download_files", "hf_hub_download"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_model_files(environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Check the plugins that download their models.

    Args:
        environ: The environment, which may say where the hub's cache is.
    """
    found = dict(_find_repositories())
    yield from judge_model_files(found, find_cache(environ))


def judge_model_files(repositories: Mapping[str, Iterable[str]], cache: Path) -> Iterator[CheckResult]:
    """Say which plugins have nothing of what they download.

    Args:
        repositories: The repositories of each plugin on the hub.
        cache: The hub's cache.
    """
    missing = False
    for plugin, names in repositories.items():
        for name in names:
            if not any((cache / f"models--{name.replace('/', '--')}" / "snapshots").glob("*/*")):
                missing = True
                yield warn(MODELS, f"{plugin} needs {name}, of which nothing is in {cache}", FIX)
    if not missing:
        yield ok(MODELS, f"{', '.join(repositories)} has them in {cache}" if repositories else "none is downloaded")


def find_cache(environ: Mapping[str, str]) -> Path:
    """Return the cache folder of the Hugging Face hub, by the variables that it documents.

    Args:
        environ: The environment.
    """
    if named := environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environ.get("HF_HOME") or os.path.join(cache, "huggingface")).expanduser() / "hub"


def _find_repositories() -> Iterator[tuple[str, list[str]]]:
    """Yield each plugin whose source downloads from the hub, with the repositories that it names; imports none."""
    spec = _find(NAME_SPACE)
    for module in pkgutil.iter_modules(spec):
        sources = [source for folder in _find(f"{NAME_SPACE}.{module.name}") for source in _read_sources(Path(folder))]
        text = "".join(sources)
        if _DOWNLOADS in text and _HUB in text:
            names = dict.fromkeys(name for source in sources for name in _list_repositories(source))
            yield f"{NAME_SPACE}.{module.name}", list(names)


def _find(name: str) -> list[str]:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    return list(spec.submodule_search_locations or ()) if spec else []


def _read_sources(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*.py")):
        if file.stat().st_size <= LARGEST_SOURCE:
            yield file.read_text(encoding="utf-8", errors="replace")


def _list_repositories(source: str) -> Iterator[str]:
    """Yield the constants of a module that are names of repositories."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and _REPOSITORY.fullmatch(value.value):
            yield value.value
