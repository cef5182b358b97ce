"""What can be checked: what is installed, a project's folder, a wheel; and what is said of anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.check.subject import open_subject
from openrtc.check.surroundings import list_variables
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from conftest import Site

HATCHLING = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "pkg-a"
version = "2.0"
description = "Of a folder"
[project.entry-points."openrtc.plugins"]
vip = "pkg_a"
"""


def refuse(asked: str) -> str:
    """Return what is said of something that cannot be checked."""
    with pytest.raises(OpenRTCError) as caught, open_subject(asked):
        pass
    return str(caught.value)


def test_an_installed_package_is_checked_where_it_is(site: Site) -> None:
    site.add("pkg-a", plugins={"vip": "pkg_a"}, summary="Answers")
    with open_subject("Pkg_A") as subject:
        assert (subject.name, subject.version, subject.site) == ("pkg-a", "1.0", None)
        assert "Summary: Answers" in subject.metadata


def test_what_is_not_there_is_told_with_what_was_meant(site: Site, tmp_path: Path) -> None:
    site.add("pkg-a", plugins={"vip": "pkg_a"})
    assert "'pkg-aa' is not installed, and no folder (did you mean \"pkg-a\"?)" in refuse("pkg-aa")
    assert "there is no such file" in refuse("dist/none.whl")
    assert "there is no such folder" in refuse("./nowhere")
    text = tmp_path / "notes.txt"
    text.touch()
    assert "neither a project's folder nor a wheel" in refuse(str(text))


def test_a_folder_that_is_no_project_is_told(tmp_path: Path) -> None:
    assert "it is no Python project: it has no pyproject.toml" in refuse(str(tmp_path))
    (tmp_path / "pyproject.toml").write_text("[build-system", encoding="utf-8")
    assert "pyproject.toml: it cannot be read" in refuse(str(tmp_path))
    (tmp_path / "pyproject.toml").write_text("[build-system]\nrequires = 3\n", encoding="utf-8")
    assert "its [build-system] is not as PEP 517 has it" in refuse(str(tmp_path))


def test_a_missing_backend_is_named_and_nothing_is_downloaded(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["no-such-backend>=3"]\nbuild-backend = "no_such"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    said = refuse(str(tmp_path))
    assert "what builds it is not installed, and nothing is downloaded: no-such-backend>=3" in said
    assert "install 'no-such-backend>=3'" in said


def test_an_editable_installation_is_checked_where_what_builds_it_is_missing(site: Site, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text('[build-system]\nrequires = ["no-such-backend"]\n', encoding="utf-8")
    folder = site.add("pkg-a", plugins={"vip": "pkg_a"})
    origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (folder / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    with open_subject(str(project)) as subject:
        assert (subject.name, subject.site) == ("pkg-a", None)
        assert "checked as it is installed here" in subject.note


@pytest.mark.process
def test_a_folder_is_built_with_its_backend_and_stays_as_it_is(site: Site, tmp_path: Path) -> None:
    site.add("pkg-a", plugins={"vip": "pkg_a"})
    project = tmp_path / "project"
    (project / "src" / "pkg_a").mkdir(parents=True)
    (project / "src" / "pkg_a" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(HATCHLING, encoding="utf-8")
    before = sorted(project.rglob("*"))
    with open_subject(str(project)) as subject:
        assert (subject.name, subject.version) == ("pkg-a", "2.0")
        assert subject.site is not None
        assert (subject.site / "pkg_a" / "__init__.py").is_file()
    assert not subject.site.exists()
    assert sorted(project.rglob("*")) == before


def test_no_secret_and_no_setting_is_handed_to_what_runs_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"PATH": "/bin", "MY_SETTING": "1"}
    secret = {"OPENAI_API_KEY": "k", "DB": "postgres://me:pw@db", "SSH_AUTH_SOCK": "s", "LIVEKIT_URL": "ws://a"}
    for name, text in (kept | secret | {"OPENRTC_DENY": "a"}).items():
        monkeypatch.setenv(name, text)
    found = list_variables(tmp_path)
    assert kept.items() <= found.items()
    assert not found.keys() & {*secret, "OPENRTC_DENY"}
    assert found["TMPDIR"] == str(tmp_path)
