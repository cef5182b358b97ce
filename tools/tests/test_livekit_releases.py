"""The tool that compares releases of livekit-agents, on small wheels that a test makes up."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from openrtc.upstream import digest
from openrtc.upstream.digest import compute_digests

PATH = Path(__file__).parents[1] / "livekit_releases.py"
SERVER = "class Server:\n    def run(self) -> int:\n        '''Run.'''\n        return 1\n"
ROOM = "class Room:\n    def _listen(self) -> None: ...\n"
RUN, LISTEN = "livekit.agents.worker:Server.run", "livekit.rtc.room:Room._listen"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, which knows two releases with a class each; pip fails."""
    spec = importlib.util.spec_from_file_location("livekit_releases", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    digests = {
        "livekit.agents.worker": {"Server.run": tuple(compute_digests(SERVER, ["Server.run"]).values())},
        "livekit.rtc.room": {"Room._listen": tuple(compute_digests(ROOM, ["Room._listen"]).values())},
    }
    for owner in (module, digest):
        monkeypatch.setattr(owner, "DIGESTS", digests)
    monkeypatch.setattr(module, "USED_BY", {"jobs": (RUN,), "events": (RUN, LISTEN)})
    monkeypatch.setattr(module, "RELEASES", ("1.8.0", "1.8.1"))

    def fail(*arguments: str) -> str:
        raise module.Unavailable(f"no {arguments[-1]}")

    monkeypatch.setattr(module, "run_pip", fail)
    return module


def write_wheel(folder: Path, distribution: str, version: str, files: dict[str, str], requires: str = "") -> None:
    with zipfile.ZipFile(folder / f"{distribution}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{distribution}-{version}.dist-info/METADATA", f"Name: {distribution}\n{requires}\n")
        for path, text in files.items():
            wheel.writestr(path, text)


def write_release(folder: Path, version: str, server: str = SERVER, room: str = ROOM) -> None:
    files = {"livekit/agents/worker.py": server}
    write_wheel(folder, "livekit_agents", version, files, f"Requires-Dist: livekit==1.1.{version[-1]}")
    write_wheel(folder, "livekit", f"1.1.{version[-1]}", {"livekit/rtc/room.py": room})


def test_all_releases_of_the_list_are_looked_at(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_release(tmp_path, "1.8.0")
    write_release(tmp_path, "1.8.1", server=SERVER.replace("Run.", "Go."))
    assert tool.check_all(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "livekit-agents 1.8.0: known",
        "livekit-agents 1.8.1: known",
        "the index cannot be asked for newer releases: no --json",
    ]


def test_one_that_is_not_known_and_one_that_cannot_be_had_are_failures(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_release(tmp_path, "1.8.1", server=SERVER.replace("1", "2"))
    assert tool.check_all(tmp_path) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "livekit-agents 1.8.0 cannot be had: no livekit-agents==1.8.0"
    assert lines[1] == f"livekit-agents 1.8.1: {RUN} not known"


def test_one_that_only_the_index_has_is_a_line_and_no_failure(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.8.0", "1.8.1"):
        write_release(tmp_path, version)
    monkeypatch.setattr(tool, "list_index", lambda: ["2.0.0b1", "1.8.1", "1.8.0", "1.7.1"])
    assert tool.check_all(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "livekit-agents 2.0.0b1 is not in the list yet: nox -s livekit -- 2.0.0b1"
    ]


def test_a_report_shows_what_has_changed_and_where_what_is_gone_may_be(tool: ModuleType, tmp_path: Path) -> None:
    write_release(tmp_path, "1.8.1")
    write_release(tmp_path, "1.9.0", server=SERVER.replace("return 1", "return 2  # a comment"), room="")
    text = "\n".join(tool.report("1.9.0", tmp_path))
    assert "livekit-agents 1.9.0, compared with 1.8.1: 2 changes" in text
    assert f"{RUN} has changed: " in text and "(for jobs, events)" in text
    assert "\n  -    return 1\n  +    return 2" in text
    assert f"{LISTEN} is gone (for events)\n  nothing has that name" in text
    assert "parts that are off with it: events, jobs" in text
    assert text.endswith("nox -s unit -- core/tests/upstream core/tests/speedups/test_events.py")


def test_what_has_moved_or_is_public_now_is_found(tool: ModuleType, tmp_path: Path) -> None:
    write_release(tmp_path, "1.8.1")
    write_release(tmp_path, "1.9.0", server=f"{SERVER}\ndef listen(): ...\n", room="")
    text = "\n".join(tool.report("1.9.0", tmp_path))
    assert f"{LISTEN} is gone (for events)\n  of that name there is livekit.agents.worker:listen" in text


def test_what_cannot_be_had_is_one_line(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_release(tmp_path, "1.8.1")
    monkeypatch.setattr(sys, "argv", ["livekit_releases.py", "--wheels", str(tmp_path), "3.0"])
    assert tool.main() == 1
    assert capsys.readouterr().out == "livekit-agents 3.0 cannot be compared: no livekit-agents==3.0\n"
