"""`openrtc call`: a call from the terminal is answered, its transcript and latency are printed, and so is silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cli import CommandLine
from e2e.pcm import tone, write_wav
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess, openrtc_worker
from e2e.worker_template import BY_LK, worker_template

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def automatic_worker(api: ServerApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("call") / "worker.log"
    with openrtc_worker(api, log, "--offline", "--allow", "my-sales-agent,openrtc-offline") as running:
        yield running.wait_until_ready()
        api.delete_all_rooms()
        running.stop()


@pytest.mark.usefixtures("automatic_worker")
def test_a_spoken_call_is_answered_and_told_with_its_transcript_and_latency(api: ServerApi) -> None:
    cli = CommandLine(api.url, api.key, api.secret)
    done = cli.run("call", "sales", "--say", "what are the prices", "--json")
    assert (done.code, done.err) == (0, "")
    call = done.document
    assert (call["agent"], call["greeting"]) == ("sales", "Hello, this is the sales desk.")
    (identity,) = call["identities"]
    assert identity.startswith("sales-") and 0.0 < call["joined_seconds"] < 10.0
    (turn,) = call["turns"]
    assert (turn["asked"], turn["heard"]) == ("what are the prices", "what are the prices")
    assert turn["said"] == "The small plan costs ten dollars, and the large plan costs thirty dollars a month."
    assert 0.1 < turn["latency_seconds"] < 10.0
    assert "eyJ" not in done.out, "no token is printed"


def test_any_livekit_worker_can_be_called_and_one_that_does_not_answer_is_told(api: ServerApi, tmp_path: Path) -> None:
    write_wav(tmp_path / "caller.wav", tone(440.0, 0.5))
    cli = CommandLine(api.url, api.key, api.secret, "tone")
    template, log = worker_template(BY_LK), tmp_path / "tone.log"
    with WorkerProcess(["-m", "e2e.tone_worker"], api=api, log=log, template=template) as bare:
        bare.wait_until_ready()
        metadata = '{"frequency": 700, "seconds": 1}'
        spoken = ("--wav", str(tmp_path / "caller.wav"), "--answer-within", "1.5")
        done = cli.run("call", "--room", "called", "--metadata", metadata, *spoken)
        first, asked, silence = done.out.splitlines()
        assert done.code == 1 and first.startswith("called -> tone   heard from after ")
        assert asked.split(maxsplit=1) == ["asked", spoken[1]]
        assert silence.split(maxsplit=1) == ["silence", "no answer was heard within 1.5 s"]
    gone = cli.run("call", "--timeout", "2", *spoken)
    assert gone.code == 1 and gone.out == ""
    assert gone.err.startswith("openrtc: nobody answers: no worker took it in 2 s: ")
