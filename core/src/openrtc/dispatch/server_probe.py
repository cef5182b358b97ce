"""Asks a LiveKit server what it is, and why it refuses: unlike `open_api`, which needs one that answers as it should.

It sends what no server minds: a request for a page, one for a room that nobody has, and the registration of a worker
under a name to which nothing is dispatched, whose answer alone names the server's version.
"""

from __future__ import annotations

import asyncio
import email.utils
import http
import json
import os
import secrets
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from openrtc.dispatch.connection import REQUEST_LIFETIME, strip_credentials
from openrtc.errors import one_line

if TYPE_CHECKING:
    import aiohttp
    from livekit import api

PROBE_SECONDS = 3.0
"""How long each request may take."""
NOBODYS_NAME = "openrtc-doctor"
"""How names begin that nobody uses: of a room that is asked for, and of a worker to which nothing is dispatched."""
NO_HTTP = "it does not answer as HTTP has it"
MOST_BYTES = 20_000
"""How much of an answer is read."""
_ROOMS = "/twirp/livekit.RoomService/ListRooms"
_OF_TIME = ("(nbf)", "(exp)", "(iat)")
"""How the server says that a token's times are wrong; its signature is right then."""
_WANTS_TLS = "HTTP request to an HTTPS server"
"""How servers in Go answer who speaks without TLS to a port that wants it."""


class Problem(StrEnum):
    """What is wrong with a server."""

    NO_ADDRESS = "no-address"
    """Its address cannot be one."""
    UNREACHABLE = "unreachable"
    """Nobody answers there."""
    TLS = "tls"
    """Somebody does, and no secure connection can be made."""
    REDIRECT = "redirect"
    """Whoever answers sends on to another address."""
    OTHER_SERVER = "other-server"
    """Whoever answers is no LiveKit server."""
    UNHEALTHY = "unhealthy"
    """It is one, and cannot serve."""
    KEY = "key"
    """It does not know the API key."""
    SECRET = "secret"
    """It knows the key, and the secret is another one."""
    REFUSED = "refused"
    """It refuses the key and secret, and does not say why."""
    TIME = "time"
    """It takes the key and secret, but not the times of a token."""
    NO_AGENTS = "no-agents"
    """It takes the key and secret, and lets no worker register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """What a server has answered.

    Args:
        problem: What is wrong; None where nothing is.
        detail: More of it, in one line; it holds neither key nor token.
        ms: How long its first answer took, in milliseconds; None where there was none.
        ahead: How many seconds this machine's clock is ahead of the server's; None where it has told no time.
        version: Its version; empty where it has told none.
    """

    problem: Problem | None = None
    detail: str = ""
    ms: float | None = None
    ahead: float | None = None
    version: str = ""


async def probe_server(url: str, api_key: str = "", api_secret: str = "") -> ServerAnswer:
    """Ask a server what it is; raises nothing.

    Args:
        url: Its address.
        api_key: API key; without key or secret, it is only asked whether it is a LiveKit server.
        api_secret: API secret.
    """
    import aiohttp

    address = strip_credentials(url)
    page = "http" + address.removeprefix("ws") if address.startswith("ws") else address
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            found = await _ask_page(session, page)
            if found.problem is not None:
                return found
            if not (api_key and api_secret):
                return await _ask_rooms(session, page, "", found)
            # A task each, side by side: together they take as long as the slower one.
            token = _sign(api_key, api_secret, room_list=True)
            asked = await _ask_rooms(session, page, token, found)
            if asked.problem is not None:
                return asked
            return await _register(session, page, _sign(api_key, api_secret, agent=True), asked)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _explain_error(error)


async def _ask_page(session: aiohttp.ClientSession, page: str) -> ServerAnswer:
    began = time.time()
    async with session.get(f"{page}/", allow_redirects=False) as answer:
        ended = time.time()
        found = ServerAnswer(ms=(ended - began) * 1000, ahead=_compare_clocks(answer.headers, (began + ended) / 2))
        if answer.status in (301, 302, 303, 307, 308):
            where = strip_credentials(answer.headers.get("location", ""))
            return replace(found, problem=Problem.REDIRECT, detail=one_line(where, 200))
        return found


async def _ask_rooms(session: aiohttp.ClientSession, page: str, token: str, found: ServerAnswer) -> ServerAnswer:
    body = {"names": [f"{NOBODYS_NAME}-{secrets.token_hex(4)}"]}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post(f"{page}{_ROOMS}", json=body, headers=headers, allow_redirects=False) as answer:
        text = (await answer.content.read(MOST_BYTES)).decode(errors="replace")
        status = answer.status
    if status == http.HTTPStatus.BAD_REQUEST and _WANTS_TLS in text:
        return replace(found, problem=Problem.REDIRECT, detail=page.replace("http:", "https:", 1))
    problem = _judge_answer(status, text, signed=bool(token))
    detail = f"it answers a request of LiveKit's API with HTTP {status}" if problem is Problem.OTHER_SERVER else ""
    if problem is Problem.UNHEALTHY:
        detail = one_line(_read_code(text)[1], 200)
    return replace(found, problem=problem, detail=detail)


def _judge_answer(status: int, text: str, *, signed: bool) -> Problem | None:
    code, _ = _read_code(text)
    if status == http.HTTPStatus.OK:
        return None if text.lstrip().startswith("{") else Problem.OTHER_SERVER
    if status == http.HTTPStatus.UNAUTHORIZED:
        if text.startswith("invalid API key"):
            return Problem.KEY
        if text.startswith("invalid token"):
            return Problem.TIME if any(one in text for one in _OF_TIME) else Problem.SECRET
        if code:
            return Problem.REFUSED if signed else None
        return Problem.REFUSED if signed and text.startswith("invalid") else Problem.OTHER_SERVER
    if code in ("permission_denied", "unauthenticated"):
        return Problem.REFUSED if signed else None
    return Problem.UNHEALTHY if code and code != "bad_route" else Problem.OTHER_SERVER


def _read_code(text: str) -> tuple[str, str]:
    """Return code and message of an error as LiveKit's API writes it; empty where it is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(document, dict) or not isinstance(document.get("code"), str):
        return "", ""
    return document["code"], str(document.get("msg", ""))


async def _register(session: aiohttp.ClientSession, page: str, token: str, found: ServerAnswer) -> ServerAnswer:
    import aiohttp
    from livekit.protocol import agent

    name = f"{NOBODYS_NAME}-{secrets.token_hex(8)}"
    request = agent.WorkerMessage(register=agent.RegisterWorkerRequest(agent_name=name, version="0"))
    answer = agent.ServerMessage()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            headers = {"Authorization": f"Bearer {token}"}
            async with session.ws_connect(f"{page}/agent", headers=headers) as socket:
                await socket.send_bytes(request.SerializeToString())
                answer.ParseFromString(await socket.receive_bytes())
    except aiohttp.WSServerHandshakeError as error:
        detail = f"it answers the registration of a worker with HTTP {error.status}"
        return replace(found, problem=Problem.NO_AGENTS, detail=detail)
    except Exception as error:  # of a proxy or of the message's form
        detail = f"a worker cannot register: {one_line(f'{type(error).__name__}: {error}', 200)}"
        return replace(found, problem=Problem.NO_AGENTS, detail=detail)
    return replace(found, version=answer.register.server_info.version)


def _sign(api_key: str, api_secret: str, **grants: Any) -> str:
    from livekit import api

    given: api.VideoGrants = api.VideoGrants(**grants)
    return api.AccessToken(api_key, api_secret).with_grants(given).with_ttl(REQUEST_LIFETIME).to_jwt()


def _compare_clocks(headers: Any, now: float) -> float | None:
    """Return how many seconds this machine is ahead; the server's time is cut to a whole second."""
    with suppress(TypeError, ValueError, OverflowError):
        return float(now - email.utils.parsedate_to_datetime(headers.get("date", "")).timestamp() - 0.5)
    return None


def _explain_error(error: BaseException) -> ServerAnswer:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return ServerAnswer(problem=Problem.TLS, detail=f"its certificate is not trusted: {one_line(why, 200)}")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        reason = getattr(getattr(error, "os_error", error), "reason", "") or type(error).__name__
        return ServerAnswer(problem=Problem.TLS, detail=f"it speaks no TLS: {one_line(str(reason), 200)}")
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return ServerAnswer(problem=Problem.NO_ADDRESS, detail="it is no address")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ServerAnswer(problem=Problem.UNREACHABLE, detail="its name is not known")
    if isinstance(error, TimeoutError):
        return ServerAnswer(problem=Problem.UNREACHABLE, detail=f"no answer within {PROBE_SECONDS:g} s")
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return ServerAnswer(problem=Problem.UNREACHABLE, detail=os.strerror(number) if number else one_line(str(error)))
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ServerDisconnectedError):
        return ServerAnswer(problem=Problem.OTHER_SERVER, detail=NO_HTTP)
    number = getattr(error, "errno", None)
    detail = os.strerror(number) if number else one_line(str(error), 200)
    return ServerAnswer(problem=Problem.UNREACHABLE, detail=detail or type(error).__name__)


def is_this_machine(url: str) -> bool:
    """Whether an address is a loopback one."""
    host = strip_credentials(url).partition("://")[2]
    return host.startswith(("localhost", "127.", "[::1]"))
