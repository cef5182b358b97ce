"""The harness on the real server, with a bare livekit-agents worker that plays tones: what went in is what is heard."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from e2e.callers import CallersProcess
from e2e.energy import holes, longest_hole
from e2e.pcm import seconds_of, silence, tone
from e2e.recording import heard_after
from e2e.reporting import show_log_on_failure
from e2e.server_api import Dispatch, ServerApi
from e2e.tones import tones_heard, who_was_heard
from e2e.worker import WorkerProcess
from e2e.worker_template import BY_LK, worker_template

pytestmark = pytest.mark.realtime

TONES = {"low": 440.0, "middle": 660.0, "high": 1200.0}


@pytest.fixture(scope="module")
def worker(
    api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("tone") / "worker.log"
    template = worker_template(BY_LK)
    with WorkerProcess(["-m", "e2e.tone_worker"], api=api, log=log, template=template) as process:
        show_log_on_failure(request.node, process)
        yield process.wait_until_ready()


def tone_metadata(frequency: float, seconds: float, hole: tuple[float, float] | None = None) -> str:
    return json.dumps({"frequency": frequency, "seconds": seconds, "hole": hole})


@pytest.mark.usefixtures("worker")
def test_the_tone_that_was_sent_is_heard_with_its_hole_and_no_other(api: ServerApi, callers: CallersProcess) -> None:
    room = "harness-hole"
    ann = callers.join("ann", api.token(room, "ann"), speaks=False)
    dispatched = api.dispatch(room, "tone", tone_metadata(660, 4.0, (2.0, 2.3)))
    agent = ann.wait_for_agent()
    began = ann.wait_for("track_subscribed")["at"]
    answer = ann.wait_for_answer(began - 1, quiet=1.0)
    assert answer is not None
    (recording,) = ann.recordings()
    assert recording.identity == agent["identity"]
    assert who_was_heard(recording.sound, TONES) == {"middle"}
    (hole,) = holes(recording.sound, at_least=0.1)
    assert hole.seconds == pytest.approx(0.3, abs=0.06)
    assert hole.start - tones_heard(recording.sound, TONES)[0].start == pytest.approx(2.0, abs=0.3)
    assert api.jobs(dispatched, room) == ["JS_RUNNING"]
    api.delete_room(room)
    assert ann.wait_for("disconnected")["reason"] == "ROOM_DELETED"


@pytest.mark.usefixtures("worker")
def test_three_callers_in_one_process_hear_each_their_own_tone(api: ServerApi, callers: CallersProcess) -> None:
    rooms = {name: f"harness-{name}" for name in TONES}
    joining = [callers.start_joining(name, api.token(room, name), speaks=False) for name, room in rooms.items()]
    dispatches = [
        Dispatch(room=rooms[name], agent_name="tone", metadata=tone_metadata(TONES[name], 3.0)) for name in TONES
    ]
    api.dispatch_all(dispatches)
    for caller, joined in joining:
        joined.result(30)
        subscribed = caller.wait_for("track_subscribed")
        assert caller.wait_for_answer(subscribed["at"] - 1) is not None
        (recording,) = caller.recordings()
        assert who_was_heard(recording.sound, TONES) == {caller.name}
        assert longest_hole(recording.sound) < 0.3
    assert all(len(agents) == 1 for agents in api.agents_in(list(rooms.values())).values())
    for room in rooms.values():
        api.delete_room(room)


def test_a_caller_hears_what_another_says_and_when(api: ServerApi, callers: CallersProcess) -> None:
    room = "harness-two"
    ann = callers.join("ann", api.token(room, "ann"))
    bob = callers.join("bob", api.token(room, "bob"), speaks=False)
    bob.wait_for("track_subscribed", identity="ann")
    first = ann.say(tone(440, 1.0))
    pause = bob.wait_for_answer(first.began - 0.2, quiet=0.5)
    second = ann.say(tone(1200, 0.6))
    assert pause is not None
    assert bob.wait_for_answer(second.began - 0.2, quiet=0.5) is not None
    (recording,) = bob.recordings()
    assert [heard.who for heard in tones_heard(recording.sound, TONES)] == ["low", "high"]
    heard_at = recording.first_sound_after(second.began - 0.3)
    assert heard_at == pytest.approx(second.began, abs=0.3)
    assert seconds_of(recording.between(first.began, second.began)) == pytest.approx(
        second.began - first.began, abs=0.2
    )
    assert heard_after(bob.recordings(), second.ended + 0.5) == []
    bob.leave()
    assert ann.wait_for("participant_disconnected", identity="bob")["reason"] == "CLIENT_INITIATED"
    api.delete_room(room)


def test_nobody_answers_in_an_empty_room(api: ServerApi, callers: CallersProcess) -> None:
    ann = callers.join("ann", api.token("harness-empty", "ann"))
    said = ann.say(silence(0.2))
    assert said.ended - said.began == pytest.approx(0.2, abs=0.1)
    assert ann.wait_for_answer(said.ended, timeout=1.0) is None
    assert ann.recordings() == []
    assert api.agents_in(["harness-empty", "harness-no-such-room"]) == {
        "harness-empty": [],
        "harness-no-such-room": [],
    }
    with pytest.raises(TimeoutError, match="no such event in 0.2 s"):
        ann.wait_for_agent(0.2)
    api.delete_room("harness-empty")


def test_a_wrong_token_is_an_error_and_the_process_goes_on(api: ServerApi, callers: CallersProcess) -> None:
    with pytest.raises(RuntimeError, match="ConnectError"):
        callers.join("eve", "not-a-token")
    callers.join("ann", api.token("harness-after", "ann"), speaks=False).leave()
