"""Job and room metadata of every bad kind: untrusted input that must not disturb anybody."""

from __future__ import annotations

import json
from functools import partial

from e2e.server_api import Dispatch
from faults.stage import Fault, Injection

LIMIT = 64_000
"""Characters: a little less than what OpenRTC reads."""
ROOM_LIMIT = 524_288
"""Bytes of metadata that the LiveKit server takes of a room."""

NASTY = {
    "not JSON": "{agent: alpha",
    "a JSON array": '["agent", "alpha"]',
    "a number of 4000 digits": '{"agent": ' + "9" * 4000 + "}",
    "a number beyond floats": '{"agent": 1e999999}',
    "NaN": '{"agent": NaN}',
    "NUL and control characters": json.dumps({"agent": "al\x00pha\x1b[2J\r\n"}),
    "lone surrogates": '{"agent": "\\ud800", "demo": "\\udfff"}',
    "an agent of every wrong type": '{"agent": {"name": ["alpha"]}, "demo": [1, 2, 3]}',
    "an agent whose name is 4 KB": json.dumps({"agent": "a" * 4096}),
    "nested 10000 deep": "[" * 10_000 + "]" * 10_000,
    "an object nested 5000 deep": '{"agent":' * 5000 + "1" + "}" * 5000,
    "64 KB of one object": json.dumps({"agent": "x" * (LIMIT - 20)}),
    "64 KB of keys": "{" + ",".join(f'"k{number}":{number}' for number in range(4000)) + "}",
    "64 KB of backslashes": "\\" * (LIMIT - 10),
    "512 KB, the most that a room takes": json.dumps({"agent": "x" * (ROOM_LIMIT - 20)}),
    "the same key 5000 times": "{" + ",".join(['"agent":"x"'] * 4999) + ',"agent":1}',
}


def give_metadata(fault: Fault, text: str) -> None:
    """Give metadata to a room, and to a job."""
    for place in ("room", "job"):
        room = fault.room(f"alpha-{place}")
        in_room, in_job = (text, "") if place == "room" else ("{}", text)
        fault.stage.api.create_room(room, metadata=in_room, agents=[Dispatch(room=room, metadata=in_job)])
    if sum(fault.is_rejected(room) for room in fault.rooms):
        fault.lost = "that call: it asks for an agent that is not there"


FAULTS = {
    kind: Injection(f"job and room metadata: {kind}", "nothing: it counts as absent", partial(give_metadata, text=text))
    for kind, text in NASTY.items()
}
