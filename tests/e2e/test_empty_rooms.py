"""A call with nobody in it that has to go is spared where somebody has come of whom its agent has not heard yet."""

from __future__ import annotations

import asyncio

import pytest

from e2e.callers import CallersProcess
from e2e.server_api import ServerApi
from openrtc.settings.config import WorkerSettings
from openrtc.worker.empty_rooms import EmptyRooms

JOB = "AJ_1"


class Scene:
    """Calls that are to be ended, and what came of it."""

    def __init__(self, url: str, api: ServerApi) -> None:
        self.done: list[str] = []
        self.running = {JOB, "AJ_2"}
        settings = WorkerSettings(url=url, api_key=api.key, api_secret=api.secret)
        self._rooms = EmptyRooms(settings, lambda job_id, reason: self.done.append(reason), lambda: self.running)

    def end(self, room: str, job_id: str = JOB) -> str:
        asyncio.run(self._rooms.end(job_id, room, "ended", lambda: self.done.append("spared")))
        return self.done[-1]


def join(callers: CallersProcess, api: ServerApi, name: str) -> None:
    """Let somebody come who publishes nothing."""
    callers.join(name, api.token("silent", name), speaks=False)


def test_a_call_is_spared_once_for_each_person_who_has_come(api: ServerApi, callers: CallersProcess) -> None:
    scene = Scene(api.url, api)
    api.create_room("silent")
    assert scene.end("silent") == "ended"
    join(callers, api, "ann")
    assert scene.end("silent") == "spared"
    assert scene.end("silent") == "ended", "its agent knows ann by now, and does not talk to her"
    join(callers, api, "bob")
    assert scene.end("silent") == "spared"
    assert scene.end("silent", "AJ_2") == "spared", "for another call, ann is new"
    scene.running.clear()
    assert scene.end("silent", "AJ_2") == "spared", "what was known of jobs that are gone is forgotten"


@pytest.mark.parametrize("url", ["", "ws://127.0.0.1:1"])
def test_a_call_is_ended_where_the_server_does_not_know_its_room_or_cannot_be_asked(api: ServerApi, url: str) -> None:
    assert Scene(url or api.url, api).end("no-such-room") == "ended"
