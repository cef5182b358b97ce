"""What is installed while a worker runs is found, also as editable."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledLook, is_whole
from openrtc.reload.installed import find_changed, follow_path_files


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions, the only one."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    return folder


def install(place: Path, name: str, *, whole: bool = True) -> Path:
    info = place / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("")
    if whole:
        (info / "RECORD").write_text(f"{name}.py,,\n")
    return info


def entry(name: str, info: Path, value: str = "a:A") -> Entry:
    return Entry(group="openrtc.agents", name=name, value=value, distribution=name, version="1.0", folder=str(info))


def test_an_installation_is_whole_when_its_list_of_files_is_there(place: Path) -> None:
    look, info = InstalledLook(), install(place, "one", whole=False)
    state = look.look(())
    assert not is_whole({}, state) and look.look(()) == state
    assert is_whole(state, state), "a Linux distribution's, which has none and never will"
    (info / "RECORD").write_text("one.py,,\n")
    assert is_whole({}, look.look(())) and look.look(()) != state


def test_distributions_that_came_went_or_were_installed_anew_have_changed(place: Path) -> None:
    look = InstalledLook()
    one, two = entry("one", install(place, "one")), entry("two", install(place, "two"))
    before = look.look([one, two])
    three = entry("three", install(place, "three"))
    (Path(two.folder) / "entry_points.txt").write_text("[openrtc.agents]\n")
    after = look.look([one, two])
    assert find_changed([one, two], [one, two, three], before, look.look([one, two, three])) >= {"two", "three"}
    assert find_changed([one, two], [two], before, after) == {"one", "two"}
    assert find_changed([one], [one], before, after) == set()


def test_the_folder_of_an_editable_installation_is_on_the_path_at_once(place: Path, tmp_path: Path) -> None:
    look = InstalledLook()
    before = look.look(())
    project = tmp_path / "project"
    project.mkdir()
    (project / "edited_live.py").write_text("WORD = 1\n")
    (place / "edited_live.pth").write_text(f"{project}\n")
    follow_path_files(before, look.look(()))
    assert importlib.import_module("edited_live").WORD == 1
    del sys.modules["edited_live"]


def test_the_finder_of_an_earlier_editable_installation_is_forgotten(place: Path) -> None:
    look = InstalledLook()
    before = look.look(())
    finder = "class Finder:\n    folder = {!r}\ndef install():\n    import sys\n    sys.meta_path.append(Finder)\n"
    for folder in ("old", "new"):
        (place / "__editable___live_finder.py").write_text(finder.format(folder) + "#" * len(folder) * 3)
        path = place / "live.pth"
        path.write_text(f"import __editable___live_finder; __editable___live_finder.install()\n{'#' * len(folder)}\n")
        importlib.invalidate_caches()
        cached = place / "__pycache__"
        for file in cached.glob("*") if cached.exists() else ():
            file.unlink()
        now = look.look(())
        follow_path_files(before, {**now, str(path): (len(folder), hash(folder))})
        before = {}
    meta_path: list[Any] = list(sys.meta_path)
    finders = [one.folder for one in meta_path if getattr(one, "__module__", "") == "__editable___live_finder"]
    assert finders == ["new"]
    del sys.modules["__editable___live_finder"]
