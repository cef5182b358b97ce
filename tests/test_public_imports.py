"""The distributions beside the core import only what is public in `openrtc`, as a stranger's package does.

Public is also what their tests import: `openrtc.testing`. One that looks into workers and settings, as the commands of
the core do, asks for the core of its own release.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import openrtc
import openrtc.testing

ROOT = Path(__file__).parents[1]
OF_ONE_RELEASE = ROOT / "plugins" / "openrtc-playground"
DISTRIBUTIONS = sorted({*ROOT.glob("plugins/*"), *ROOT.glob("sample_agents/*")} - {OF_ONE_RELEASE})


def private_imports(source: str) -> list[str]:
    """Return the names that a module imports from `openrtc` though they are not in its ``__all__``."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.startswith("openrtc.")]
        elif isinstance(node, ast.ImportFrom) and node.module == "openrtc":
            found += [f"openrtc: {one.name}" for one in node.names if one.name not in openrtc.__all__]
        elif isinstance(node, ast.ImportFrom) and node.module == "openrtc.testing":
            found += [f"openrtc.testing: {one.name}" for one in node.names if one.name not in openrtc.testing.__all__]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openrtc."):
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=[folder.name for folder in DISTRIBUTIONS])
def test_a_distribution_imports_only_public_names(distribution: Path) -> None:
    modules = sorted(distribution.rglob("*.py"))
    assert modules
    found = {str(module): imports for module in modules if (imports := private_imports(module.read_text("utf-8")))}
    assert not found


def test_what_is_of_one_release_with_the_core_asks_for_that_core() -> None:
    project = tomllib.loads((OF_ONE_RELEASE / "pyproject.toml").read_text("utf-8"))["project"]
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    assert f"openrtc-core=={version}" in project["dependencies"]


def test_a_private_import_is_found() -> None:
    source = "import openrtc.model.call\nfrom openrtc import Call, settings\nfrom openrtc.model import call\n"
    assert private_imports(source) == ["openrtc.model.call", "openrtc: settings", "openrtc.model"]
