"""`openrtc call`: a call from the terminal is answered, its transcript and latency are told, and silence is, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cli import CommandLine
from e2e.pcm import tone, write_wav
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess, openrtc_worker

pytestmark = pytest.mark.alone

ANSWER = "Order number 7 is on the truck, and arrives on Friday."


@pytest.fixture(scope="module")
def automatic_worker(api: ServerApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("call") / "worker.log"
    with openrtc_worker(api, log, "--offline", "--allow", "my-support-agent,my-sales-agent,openrtc-offline") as running:
        yield running.wait_until_ready()
        api.delete_all_rooms()
        running.stop()


@pytest.mark.usefixtures("automatic_worker")
def test_a_spoken_call_is_answered_and_told_with_its_transcript_and_latency(api: ServerApi) -> None:
    cli = CommandLine(api.url, api.key, api.secret)
    told = cli.run("call", "support", "--say", "where is my order number seven", "--json")
    assert (told.code, told.err) == (0, "")
    call = told.document
    assert (call["agent"], call["greeting"], len(call["identities"])) == ("support", "", 1)
    assert 0.0 < call["joined_seconds"] < 10.0
    (turn,) = call["turns"]
    assert (turn["asked"], turn["heard"], turn["said"]) == (
        "where is my order number seven",
        "where is my order number seven",
        ANSWER,
    )
    assert 0.1 < turn["latency_seconds"] < 10.0
    assert "token" not in told.out and "eyJ" not in told.out


@pytest.mark.usefixtures("automatic_worker")
def test_a_call_without_an_agent_is_routed_and_the_greeting_is_told(api: ServerApi) -> None:
    done = CommandLine(api.url, api.key, api.secret).run("call", "--room", "sales-by-prefix", "--say", "hello")
    assert done.code == 0, done
    first, said, asked, *_ = done.out.splitlines()
    assert first.startswith("sales-by-prefix -> sales   heard from after ")
    assert said.split(maxsplit=1) == ["said", "Hello, this is the sales desk."]
    assert asked.split(maxsplit=1) == ["asked", "hello"]


def test_any_livekit_worker_can_be_called_and_one_that_does_not_answer_is_told(api: ServerApi, tmp_path: Path) -> None:
    write_wav(tmp_path / "caller.wav", tone(440.0, 0.5))
    cli = CommandLine(api.url, api.key, api.secret, "tone")
    with WorkerProcess(["-m", "e2e.tone_worker"], api=api, log=tmp_path / "tone.log") as bare:
        bare.wait_until_ready()
        metadata = '{"frequency": 700, "seconds": 1}'
        spoken = ("--wav", str(tmp_path / "caller.wav"), "--answer-within", "1.5")
        done = cli.run("call", "--metadata", metadata, *spoken, "--json")
        assert done.code == 1 and done.document["turns"][0]["latency_seconds"] is None
        assert done.document["joined_seconds"] > 0.0
    gone = cli.run("call", "--timeout", "2", *spoken)
    assert gone.code == 1 and gone.out == ""
    assert gone.err.startswith("openrtc: nobody answers: no worker took it in 2 s: ")
