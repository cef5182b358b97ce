"""What the program ``lk`` does in ``lk agent start``, ``dev`` and ``console``: how it starts an agent, and its wires.

Written after livekit-cli 2.18: ``cmd/lk/simulate_subprocess.go`` (the command line), ``agent_dev.go`` and
``agent_watcher.go`` (the dev channel), ``console.go`` and ``pkg/console`` (the console). A message is its length in
four bytes, big-endian, and a protobuf.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livekit.protocol.agent_pb import agent_dev, agent_session

AGENT_FILE = "from openrtc.lk import server\n"
Message = agent_session.AgentSessionMessage


def write_project(folder: Path, settings: str = "", source: str = AGENT_FILE) -> Path:
    """Write what ``lk`` takes for a project of Python, with settings of OpenRTC; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.py").write_text(source)
    (folder / "requirements.txt").write_text("openrtc-core\n")
    (folder / "openrtc.toml").write_text(settings)
    return folder


def build_command(command: str, *options: str) -> list[str]:
    """Return what ``lk`` runs with the project's Python, in the project's folder."""
    return ["-m", "livekit.agents", command, "agent.py", *options]


class LkPort:
    """A port of loopback on which ``lk`` waits for the agent that it has started."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(60)
        self._agent: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self._listening.close()

    @property
    def address(self) -> str:
        """Host and port."""
        return "{}:{}".format(*self._listening.getsockname())

    def accept(self) -> None:
        """Wait until an agent has connected."""
        self.hang_up()
        self._agent, _ = self._listening.accept()
        self._agent.settimeout(30)

    def hang_up(self) -> None:
        """Close the connection to the agent, if there is one."""
        if self._agent:
            self._agent.close()
            self._agent = None

    def send(self, message: Any) -> None:
        """Send a protobuf."""
        assert self._agent is not None
        data = message.SerializeToString()
        self._agent.sendall(struct.pack(">I", len(data)) + data)

    def receive(self, kind: Any) -> Any:
        """Return the next protobuf."""
        (length,) = struct.unpack(">I", self._read(4))
        return kind.FromString(self._read(length))

    def _read(self, length: int) -> bytes:
        assert self._agent is not None
        data = b""
        while len(data) < length:
            part = self._agent.recv(length - len(data))
            assert part, "the agent has closed the connection"
            data += part
        return data


class DevLk(LkPort):
    """``lk agent dev``: gives a worker the calls of the one before, and asks for its own before it ends it."""

    def begin(self, jobs: Sequence[Any] = ()) -> Any:
        """Wait for a worker, answer its question for calls, and return what it says of itself."""
        self.accept()
        info = self.receive(agent_dev.AgentDevMessage).server_info
        assert self.receive(agent_dev.AgentDevMessage).HasField("get_running_jobs_request")
        answer = agent_dev.GetRunningAgentJobsResponse(jobs=jobs)
        self.send(agent_dev.AgentDevMessage(get_running_jobs_response=answer))
        return info

    def ask_for_jobs(self) -> list[Any]:
        """Return the calls that the worker holds."""
        self.send(agent_dev.AgentDevMessage(get_running_jobs_request=agent_dev.GetRunningAgentJobsRequest()))
        return list(self.receive(agent_dev.AgentDevMessage).get_running_jobs_response.jobs)


class ConsoleLk(LkPort):
    """``lk agent console``: plays what the agent says, and types."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0
        """Samples of the agent's voice, at 48 kHz."""

    def ask(self, **request: Any) -> Any:
        """Send a request, play what comes meanwhile, and return the response."""
        self.send(Message(request=agent_session.SessionRequest(request_id="1", **request)))
        while (message := self.play()).WhichOneof("message") != "response":
            pass
        return message.response

    def play(self) -> Any:
        """Take the next message, as the program does that plays the agent's voice; return it."""
        message = self.receive(Message)
        if message.HasField("audio_output"):
            assert (message.audio_output.sample_rate, message.audio_output.num_channels) == (48_000, 1)
            self.heard += message.audio_output.samples_per_channel
        if message.HasField("audio_playback_flush"):  # without the answer, the agent's turn does not end
            self.send(Message(audio_playback_finished=Message.ConsoleIO.AudioPlaybackFinished()))
        return message

    def switch_to_text(self) -> None:
        """Neither listen nor speak from now on."""
        off = agent_session.SessionRequest.UpdateIO()
        off.input.audio_enabled = off.output.audio_enabled = off.output.transcription_enabled = False
        self.ask(update_io=off)

    def type(self, text: str) -> list[Any]:
        """Say something in text; return what is new in the conversation: messages, calls of tools, their results."""
        return list(self.ask(run_input=agent_session.SessionRequest.RunInput(text=text)).run_input.items)
