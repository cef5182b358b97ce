from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.main import main
from openrtc.scaffold.kinds import PACKAGE_KINDS
from openrtc.scaffold.make import list_dependencies, list_next, make_package
from openrtc.scaffold.new_names import LONGEST_NEW_NAME

if TYPE_CHECKING:
    from conftest import Site


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", PACKAGE_KINDS)
def test_every_file_is_filled_in_and_keeps_its_lines_short_with_the_longest_name(kind: str, here: Path) -> None:
    name = "n" * LONGEST_NEW_NAME
    made = make_package(kind, name, name, here / "made")
    assert {path for path in (here / "made").rglob("*") if path.is_file()} == set(made)
    for path in made:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"@[a-z]+@", text) == [], path
        lines = text.splitlines() if path.suffix == ".py" else []
        assert [line for line in lines if len(line) > 120] == []
    assert all("@" not in line for line in list_next(kind, name))


def test_it_requires_the_installed_core_and_never_a_path() -> None:
    core, livekit = list_dependencies(livekit=True)
    assert re.fullmatch(r"openrtc-core>=\d+\.\d+,<\d+\.\d+", core)
    assert re.fullmatch(r"livekit-agents>=[\d.]+,<[\d.]+", livekit)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agent", "class"], 'Python cannot import "class"'),
        (["agent", "2cool"], 'Python cannot import "2cool"'),
        (["agent", "../x"], "only letters, digits"),
        (["agent", ""], "the name is empty"),
        (["agent", "shop-"], "begins and ends with a letter or digit"),
        (["agent", "x" * 41], "41 characters, more than 40"),
        (["agent", "json"], "Python has a module json of its own"),
        (["router", "openrtc"], "there is a module openrtc"),
        (["agent", "google"], "there is a module google"),
        (["agent", "my.installed"], "a distribution of this name is installed"),
        (["agent", "openrtc-nothing", "--into", "file"], "file/openrtc-nothing cannot be written"),
        (["agent", "openrtc-silero"], 'the name "openrtc-silero" is taken'),
        (["agent", "support-desk"], "my-installed brings an agent of this name (take another one)"),
        (["agent", "folder"], "folder is there already (take another name, or make it elsewhere with --into)"),
    ],
)
def test_a_name_that_is_taken_or_not_allowed_is_one_line(
    words: list[str], said: str, here: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("my-installed", agents={"support-desk": "m:C"})
    (here / "file").touch()
    (here / "folder").mkdir()
    (here / "folder" / "mine").touch()
    before = set(here.rglob("*"))
    assert main(["new", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, said in err, err.count("\n")) == ("", True, 1), err
    assert set(here.rglob("*")) == before


def test_an_empty_folder_is_used_and_what_comes_next_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    (here / "flower-shop").mkdir()
    assert main(["new", "agent", "Flower_Shop"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Made flower-shop: A voice agent that says hello and tells the opening hours.\n")
    assert "\n  src/flower_shop/__init__.py\n" in out
    following = out[out.index("Next:\n") :].splitlines()
    assert following[1:] == [
        "  cd flower-shop",
        "  pip install -e '.[dev]'",
        "  pytest",
        "  openrtc console flower-shop --offline",
        "  openrtc dev --with-server",
    ]
