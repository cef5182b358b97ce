"""`openrtc_recorder.recording`, with a session that a test plays: what is in the file, and when there is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from livekit import rtc
from livekit.agents import AgentStateChangedEvent
from livekit.agents.voice import io

from openrtc_recorder import recording
from openrtc_recorder.archive import Archive
from openrtc_recorder.recording import Recording
from waiting import wait_until

RATE = 48_000


def build_frame(seconds: float) -> rtc.AudioFrame:
    """Return a loud frame."""
    samples = (np.sin(np.arange(round(seconds * RATE)) / 10) * 9000).astype(np.int16)
    return rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples))


class Microphone(io.AudioInput):
    """Hears one frame."""

    def __init__(self) -> None:
        super().__init__(label="microphone")

    async def __anext__(self) -> rtc.AudioFrame:
        return build_frame(0.2)


class Loudspeaker(io.AudioOutput):
    """Plays what it is told to have played."""

    def __init__(self) -> None:
        super().__init__(label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False))

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)

    def flush(self) -> None:
        super().flush()

    def clear_buffer(self) -> None:
        """Nothing is buffered."""


class Speech:
    """Something that has been said; it may be awaited by several."""

    def __init__(self, *, heard: bool, interrupted: bool) -> None:
        self.chat_items = ["said"] if heard else []
        self.interrupted = interrupted

    def __await__(self) -> Any:
        return asyncio.sleep(0).__await__()


class Session(rtc.EventEmitter[str]):
    """As much of a session as is used."""

    def __init__(self) -> None:
        super().__init__()
        self.input = SimpleNamespace(audio=None)
        self.output = SimpleNamespace(audio=None)
        self.said: list[str] = []
        self.speech = Speech(heard=True, interrupted=False)

    def start(self) -> None:
        """Get audio, as when it begins to start."""
        self.input.audio, self.output.audio = Microphone(), Loudspeaker()

    def listen(self) -> None:
        """Have started."""
        self.emit("agent_state_changed", AgentStateChangedEvent(old_state="initializing", new_state="listening"))

    def say(self, text: str, *, allow_interruptions: bool) -> Speech:
        """Say it."""
        assert not allow_interruptions
        self.said.append(text)
        return self.speech


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], Any]]:
    """The shutdown callbacks of the job."""
    found: list[Callable[[], Any]] = []
    monkeypatch.setattr(recording, "get_job_context", lambda: SimpleNamespace(add_shutdown_callback=found.append))
    return found


async def record(session: Any, folder: Path, role: str = "") -> None:
    """Give a session to the plugin."""
    call: Any = SimpleNamespace(job_id="AJ_1", cast_member=SimpleNamespace(role=role) if role else None)
    await Recording(call, session, Archive(folder, 30.0, "You are recorded.")).prepare()


def list_names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def loud_seconds(path: Path) -> list[float]:
    """Return for how long each side is loud."""
    with av.open(str(path)) as file:
        sound = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    return [float(np.sum(np.abs(side) > 0.05)) / RATE * 1.2 for side in sound]


async def test_each_side_is_on_its_channel_and_an_interrupted_agent_as_far_as_it_was_played(
    callbacks: list[Callable[[], Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    session = Session()
    await record(session, tmp_path)
    session.start()
    await asyncio.sleep(0)
    heard, speaker = session.input.audio, session.output.audio
    await anext(heard)  # before the announcement: not in the file
    session.listen()
    assert session.said == ["You are recorded."], "at once: before what greets"
    await wait_until(lambda: "is recorded: " in caplog.text)

    await asyncio.sleep(0.3)
    await anext(heard)
    await speaker.capture_frame(build_frame(1.0))
    speaker.flush()
    speaker.on_playback_started(created_at=time.time())
    await asyncio.sleep(0.5)
    speaker.on_playback_finished(playback_position=0.4, interrupted=True)
    session.emit("close", None)
    await callbacks[0]()
    left, right = loud_seconds(tmp_path / "AJ_1.ogg")
    assert left == pytest.approx(0.2, abs=0.06)
    assert right == pytest.approx(0.4, abs=0.06)


@pytest.mark.parametrize(("heard", "interrupted"), [(False, False), (True, True)])
async def test_a_call_that_was_not_told_is_not_recorded(
    callbacks: list[Callable[[], Any]],
    tmp_path: Path,
    heard: bool,
    interrupted: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = Session()
    session.speech = Speech(heard=heard, interrupted=interrupted)
    session.start()
    await record(session, tmp_path)
    session.listen()
    session.emit("close", None)
    await callbacks[0]()
    assert caplog.messages == ["call AJ_1 is not recorded: its agent could not say so to the end"]
    assert list_names(tmp_path) == []


async def test_of_a_session_that_never_starts_no_file_is_left(
    callbacks: list[Callable[[], Any]], tmp_path: Path
) -> None:
    session = Session()
    await record(session, tmp_path)
    assert list_names(tmp_path) == ["AJ_1.ogg"]
    session.emit("close", None)
    await callbacks[0]()
    assert list_names(tmp_path) == []


async def test_a_folder_that_went_away_is_told_before_anything_is_said(
    callbacks: list[Callable[[], Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session()
    session.start()
    await record(session, tmp_path / "gone")
    session.listen()
    assert callbacks == []
    assert caplog.messages[0].startswith("call AJ_1 is not recorded: ") and "No such file or directory" in caplog.text
    assert session.said == []


async def test_the_first_member_of_a_cast_says_it_for_all(
    callbacks: list[Callable[[], Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sessions = [Session(), Session()]
    for session, role in zip(sessions, ("driver", "dispatcher"), strict=True):
        await record(session, tmp_path, role)
        session.start()
    sessions[1].input.audio = None
    for session in sessions:
        session.listen()
    await wait_until(lambda: caplog.text.count("is recorded: ") == 2)
    for session in sessions:
        session.emit("close", None)
    await asyncio.gather(*(callback() for callback in callbacks))
    assert [session.said for session in sessions] == [["You are recorded."], []]
    assert list_names(tmp_path) == ["AJ_1.dispatcher.ogg", "AJ_1.driver.ogg"]
