"""The contracts between the folders of openrtc, in the root's pyproject.toml, fail where they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]

LAYERS = "Each folder imports only from the folders below it"
CIRCLES = "No files import each other in a circle"
NO_LIVEKIT = "Folders that work without livekit never import it, directly or through others"
FRONT_DOOR = "Inside the package, names are imported from where they are defined"

LintImports = Callable[[dict[str, str]], str]


@pytest.fixture
def lint_imports(tmp_path: Path) -> LintImports:
    """Check the package's imports with further modules in it, named by path; return what import-linter prints."""

    def check(modules: dict[str, str]) -> str:
        package = tmp_path / "openrtc"
        shutil.copytree(ROOT / "core" / "src" / "openrtc", package, ignore=shutil.ignore_patterns("__pycache__"))
        for path, source in modules.items():
            (package / path).parent.mkdir(exist_ok=True)
            (package / path).write_text(source, encoding="utf-8")
        linter = Path(sys.executable).with_name("lint-imports")
        done = subprocess.run(
            [str(linter), "--no-cache", str(ROOT / "pyproject.toml")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == bool(modules), done.stdout + done.stderr
        return done.stdout

    return check


def test_the_package_keeps_every_contract(lint_imports: LintImports) -> None:
    printed = lint_imports({})
    assert all(f"{contract} KEPT" in printed for contract in (LAYERS, CIRCLES, NO_LIVEKIT, FRONT_DOOR))


@pytest.mark.parametrize(
    ("modules", "contract", "arrow"),
    [
        pytest.param(
            {"model/new.py": "import openrtc.pool"},
            LAYERS,
            "openrtc.model.new -> openrtc.pool",
            id="an arrow back up",
        ),
        pytest.param(
            {"model/new.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import openrtc.pool"},
            LAYERS,
            "openrtc.model.new -> openrtc.pool",
            id="an arrow back up that only a type checker follows",
        ),
        pytest.param(
            {"model/one.py": "import openrtc.model.two", "model/two.py": "import openrtc.model.one"},
            CIRCLES,
            "No cycles are allowed in openrtc.model.",
            id="a circle inside a folder",
        ),
        pytest.param(
            {"routing/new.py": "def route():\n    from livekit import api"},
            NO_LIVEKIT,
            "openrtc.routing.new -> livekit",
            id="livekit where it is not needed",
        ),
        pytest.param(
            {"session/new.py": "from openrtc import AgentPool"},
            FRONT_DOOR,
            "openrtc.session.new -> openrtc",
            id="the package's front door used from inside",
        ),
        pytest.param({"attic/__init__.py": ""}, LAYERS, "attic", id="a folder without a place"),
    ],
)
def test_what_breaks_a_contract_is_refused(
    lint_imports: LintImports, modules: dict[str, str], contract: str, arrow: str
) -> None:
    printed = lint_imports(modules)
    assert f"{contract} BROKEN" in printed
    assert arrow in printed
