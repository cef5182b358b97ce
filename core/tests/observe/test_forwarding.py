from __future__ import annotations

import json
import os
import socket

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallStarted, Event, WorkerStopped
from openrtc.observe.forwarding import EventReceiver, EventSender
from openrtc.observe.sockets import events_path, make_private_folder

pytestmark = pytest.mark.usefixtures("runtime_folder")


def test_an_event_reaches_the_worker_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    make_private_folder()
    events, seen = EventStream(), list[Event]()
    events.subscribe(seen.append)
    receiver = EventReceiver(events_path(os.getpid()), events)
    sender = EventSender(events_path(os.getpid()))
    sent = [CallStarted(job_id="AJ_1", room="r ☎", setup_seconds=0.5), WorkerStopped(served=2)]
    for event in sent:
        sender(event)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        for nonsense in (b"nonsense", b"[]", json.dumps({"event": "call_lost"}).encode()):
            other.sendto(nonsense, str(events_path(os.getpid())))
    receiver.receive()
    receiver.close()
    assert seen == sent
    assert caplog.text.count("a job process sent what is no event") == 3
    sender(sent[0])
    assert "the event call_started did not reach the worker" in caplog.text
