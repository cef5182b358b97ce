from __future__ import annotations

from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import api

from openrtc import LiveKitConnection
from openrtc.dispatch.connection import open_api

SECRET = "a-secret-of-thirty-two-characters"


async def read_tokens() -> list[dict[str, Any]]:
    """Return the claims of what is sent with a request about rooms, one about a room, and one about telephones."""
    tokens: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        tokens.append(jwt.decode(token, SECRET, algorithms=["HS256"]))
        return web.Response(content_type="application/protobuf")

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        connection = LiveKitConnection(url=str(server.make_url("")), api_key="key", api_secret=SECRET)
        async with open_api(connection) as livekit:
            await livekit.room.list_rooms(api.ListRoomsRequest())
            await livekit.room.list_participants(api.ListParticipantsRequest(room="r"))
            await livekit.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
    return tokens


async def test_the_token_of_a_request_is_good_for_a_minute_and_for_that_request() -> None:
    tokens = await read_tokens()
    assert [one["exp"] - one["nbf"] for one in tokens] == [60, 60, 60]
    assert {one["iss"] for one in tokens} == {"key"}
    rooms, room, telephones = tokens
    assert rooms["video"]["roomList"] and "roomAdmin" not in rooms["video"]
    assert room["video"]["roomAdmin"] and room["video"]["room"] == "r"
    assert telephones["sip"]["admin"]
