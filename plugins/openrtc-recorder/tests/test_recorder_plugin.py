"""The plugin `openrtc_recorder.plugin`: its folder, and what becomes of calls that cannot be recorded."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc import ResourceUnavailable
from openrtc_recorder import plugin
from openrtc_recorder.archive import DAY_SECONDS, DAYS, FOLDER, SAYS, open_archive


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (DAYS, SAYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(FOLDER, str(tmp_path / "calls" / "here"))
    return tmp_path / "calls" / "here"


def test_the_distribution_announces_the_plugin_module() -> None:
    (entry,) = distribution("openrtc-recorder").entry_points
    assert (entry.group, entry.name) == ("openrtc.plugins", "recorder")
    assert entry.load() is plugin


@pytest.mark.process
def test_importing_the_plugin_imports_no_livekit() -> None:
    code = (
        "import sys; from openrtc_recorder import plugin; plugin.openrtc_resources(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('livekit', 'av', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_folder_is_made_for_this_user_alone(folder: Path) -> None:
    (spec,) = plugin.openrtc_resources()
    archive = spec.load()
    assert archive.folder == folder and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (archive.days, archive.sentence) == (30.0, "This call is recorded.")
    path = archive.reserve("AJ_1")
    assert path == folder / "AJ_1.ogg" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert archive.reserve("AJ_1").name == "AJ_1.2.ogg"


def test_recordings_whose_time_is_over_are_removed_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DAYS, "0.5")
    folder.mkdir(parents=True)
    old = ["AJ_old.ogg", "AJ_old.dispatcher.ogg", "AJ_old.2.ogg"]
    kept = ["song.ogg", "AJ_old.ogg.bak", "AJ_new.ogg"]
    for name in [*old, *kept]:
        (folder / name).touch()
        days = 0.4 if name == "AJ_new.ogg" else 0.6
        os.utime(folder / name, (time.time() - days * DAY_SECONDS,) * 2)
    open_archive()
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)


@pytest.mark.parametrize("days", ["a week", "0", "-1", "nan", "inf"])
def test_days_that_are_none_are_told(folder: Path, days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DAYS, days)
    with pytest.raises(ResourceUnavailable, match=f"OPENRTC_RECORDER_DAYS is '{days}', which is no number of days"):
        open_archive()


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    folder.parent.parent.joinpath("calls").write_text("a file")
    with pytest.raises(ResourceUnavailable, match=r"OPENRTC_RECORDER_FOLDER is '.*here', which cannot be written: Not"):
        open_archive()


class Missing(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise KeyError(f"the resource {key!r} is not available: no disk")


async def test_without_its_folder_calls_go_on_unrecorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plugin._tell_once.cache_clear()
    call: Any = SimpleNamespace(job_id="AJ_1", resources=Missing())
    await plugin.openrtc_session(call, None)
    assert caplog.messages == ["call AJ_1 is not recorded: the resource 'recorder' is not available: no disk"]
    caplog.clear()
    monkeypatch.delenv(FOLDER)
    with caplog.at_level(logging.WARNING):
        await plugin.openrtc_session(call, None)
        await plugin.openrtc_session(call, None)
    assert plugin.openrtc_resources() == []
    assert caplog.messages == ["no call is recorded: OPENRTC_RECORDER_FOLDER is not set"]
