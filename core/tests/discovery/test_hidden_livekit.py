from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.hidden_livekit import show_livekit
from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site

REASON = "its file {} hides livekit, a name space of many distributions"


@pytest.mark.parametrize("file", ["livekit/__init__.py", "livekit/plugins/__init__.py"])
def test_who_ships_a_file_that_hides_livekit_is_a_conflict_and_nobody_else(site: Site, file: str) -> None:
    site.add("mine", agents={"mine": "livekit.plugins.mine:C"}, files={file: ""}, record=[f"{file},,"])
    site.add("other", agents={"other": "livekit.plugins.other:C"}, record=["livekit/plugins/other.py,,"])
    mine, other = site.entries()
    assert (mine.state, other.state) == (State.CONFLICT, State.INSTALLED)
    assert mine.reason == REASON.format(file)
    assert mine.fix == "take that file out of mine, and install it again"
    assert mine.location == str(site.folder / file)


def test_an_editable_installation_that_hides_livekit_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    project = site.beside("project").folder
    (project / "livekit").mkdir(parents=True)
    (project / "livekit" / "__init__.py").touch()
    info = site.add("mine", agents={"mine": "mine:C"}, record=["mine.pth,,"])
    (site.folder / "mine.pth").write_text(f"{project}\n")
    (info / "direct_url.json").write_text(json.dumps({"url": f"file://{project}", "dir_info": {"editable": True}}))
    monkeypatch.setattr(sys, "path", [*sys.path, str(project)])
    (entry,) = site.entries()
    assert entry.state is State.CONFLICT
    assert entry.location == str(project / "livekit" / "__init__.py")


def test_what_is_no_package_of_openrtc_is_warned_of(site: Site) -> None:
    site.add("library", files={"livekit/__init__.py": ""}, record=["livekit/__init__.py,,"])
    site.entries()
    assert site.warnings == [
        f"library: {REASON.format('livekit/__init__.py')} (take that file out of library, and install it again)"
    ]


def test_a_file_of_nobody_is_warned_of(site: Site) -> None:
    (site.folder / "livekit").mkdir()
    (site.folder / "livekit" / "__init__.py").touch()
    site.entries()
    (warning,) = site.warnings
    assert str(site.folder / "livekit" / "__init__.py") in warning


@pytest.mark.parametrize("imported", [True, False])
def test_all_of_livekit_can_be_imported_nevertheless(
    site: Site, monkeypatch: pytest.MonkeyPatch, imported: bool
) -> None:
    files = {"livekit/__init__.py": "", "livekit/plugins/__init__.py": "", "livekit/plugins/mine.py": ""}
    site.add("mine", files=files, record=list(files))
    for name in [name for name in sys.modules if name.partition(".")[0] == "livekit"]:
        monkeypatch.delitem(sys.modules, name)
    try:
        if imported:
            importlib.import_module("livekit.plugins")
        show_livekit()
        assert importlib.import_module("livekit.protocol.models").__file__
        assert importlib.import_module("livekit.plugins.mine").__file__
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "livekit"]:
            del sys.modules[name]
