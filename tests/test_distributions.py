"""What every distribution says of itself: licence, addresses, classifiers, version."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for pattern in ("core", "plugins/*", "sample_agents/*")
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
SERVER = "plugins/openrtc-livekit-server"


def project(folder: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_each_has_the_licence_in_its_folder_so_that_its_wheel_has_it(folder: str) -> None:
    assert project(folder)["license"] == "Apache-2.0"
    assert "LICENSE" in project(folder)["license-files"]
    assert all((ROOT / folder / name).is_file() for name in project(folder)["license-files"])
    assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_each_names_the_project_and_the_pythons_that_it_runs_on(folder: str) -> None:
    table = project(folder)
    assert table["urls"] == project("core")["urls"]
    assert table["requires-python"] == ">=3.11,<3.15"
    versions = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)}
    assert versions <= set(table["classifiers"])
    typed = list((ROOT / folder / "src").glob("*/py.typed"))
    assert ("Typing :: Typed" in table["classifiers"]) == bool(typed)


def test_only_the_distribution_that_carries_somebody_elses_program_has_a_notice() -> None:
    noticed = [folder for folder in DISTRIBUTIONS if (ROOT / folder / "NOTICE").exists()]
    assert noticed == [SERVER]
    assert "NOTICE" in project(noticed[0])["license-files"]


@pytest.mark.parametrize("folder", [folder for folder in DISTRIBUTIONS if folder != SERVER])
def test_the_version_stands_in_one_file_for_all_but_the_server(folder: str) -> None:
    tables = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in tables["project"]
    assert (ROOT / folder / tables["tool"]["hatch"]["version"]["path"]).resolve() == ROOT / "VERSION"


@pytest.mark.parametrize("folder", DISTRIBUTIONS)
def test_what_asks_for_the_core_takes_it_at_its_present_version(folder: str) -> None:
    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    asked = [Requirement(line) for line in project(folder)["dependencies"]]
    assert all(one.specifier.contains(version) for one in asked if one.name == "openrtc-core")
