"""A file has changed when something else is in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openrtc.reload.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "pack" / "prompts").mkdir(parents=True)
    (tmp_path / "pack" / "agent.py").write_text("A = 1\n")
    (tmp_path / "pack" / "prompts" / "desk.md").write_text("hello")
    found = Files()
    assert found.look([str(tmp_path / "pack")]) == set()
    return found


def test_edits_in_place_and_by_rename_and_new_and_removed_files_are_seen_once(files: Files, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    (pack / "agent.py").write_text("A = 2\n")
    (pack / "new.md").write_text("new")
    (pack / "save").write_text("bye")
    os.replace(pack / "save", pack / "prompts" / "desk.md")
    assert files.look([str(pack)]) == {str(pack / name) for name in ("agent.py", "new.md", "prompts/desk.md")}
    assert files.look([str(pack)]) == set()
    (pack / "new.md").unlink()
    assert files.look([str(pack)]) == {str(pack / "new.md")}


def test_saving_the_same_again_and_what_editors_and_python_write_is_no_change(files: Files, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    (pack / "agent.py").write_text("A = 1\n")
    os.utime(pack / "prompts" / "desk.md", (1, 1))
    (pack / "__pycache__").mkdir()
    (pack / ".git").mkdir()
    (pack / "venv" / "lib").mkdir(parents=True)
    (pack / "mine" / "lib").mkdir(parents=True)
    (pack / "mine" / "pyvenv.cfg").touch()
    for name in (
        "__pycache__/agent.pyc",
        ".git/HEAD",
        ".agent.py.swp",
        "agent.py~",
        "calls.db",
        "agent.log",
        "4913.tmp",
    ):
        (pack / name).write_text("x")
    for name in ("venv/lib/x.py", "mine/lib/x.py"):
        (pack / name).write_text("x")
    assert files.look([str(pack)]) == set()


def test_what_is_in_a_place_that_was_not_looked_at_before_has_not_changed(files: Files, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("B = 1\n")
    assert files.look([str(tmp_path / "pack"), str(other)]) == set()
    other.write_text("B = 2\n")
    assert files.look([str(tmp_path / "pack"), str(other)]) == {str(other)}
    assert files.look([str(tmp_path / "pack")]) == set(), "it is watched no more"
    assert str(tmp_path / "pack" / "prompts") in files.folders


def test_what_was_saved_since_a_time_is_told(files: Files, tmp_path: Path) -> None:
    os.utime(tmp_path / "pack" / "agent.py", (1_000, 1_000))
    os.utime(tmp_path / "pack" / "prompts" / "desk.md", (2_000, 2_000))
    files.look([str(tmp_path / "pack")])
    assert files.list_since(1_500.0) == {str(tmp_path / "pack" / "prompts" / "desk.md")}
