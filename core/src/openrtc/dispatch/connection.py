"""`LiveKitConnection`: which LiveKit server to talk to, and under which names its workers are registered.

`livekit.api` is imported where it is used: most commands need no server, and must start fast.
"""

from __future__ import annotations

import contextlib
import http
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from openrtc.errors import OpenRTCError, one_line
from openrtc.model.dispatch_names import WorkerNames
from openrtc.settings.config import WorkerSettings
from openrtc.settings.load import load_config

if TYPE_CHECKING:
    from livekit import api

REQUEST_LIFETIME = timedelta(minutes=1)
"""How long the token of one request to the server's API is good: whoever comes upon it may do what it grants."""

API_SECONDS = 10.0
"""How long the server may take to answer; `livekit.api` has the same."""
KEY_FIX = "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or --api-key and --api-secret: they are of another server"

_REFUSALS = ("unauthenticated", "permission_denied")
"""Twirp codes by which the server says that the key or secret is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitConnection:
    """A LiveKit server, and under which names its workers are registered.

    Args:
        url: Its address (``ws://``, ``wss://``, ``http://`` or ``https://``).
        api_key: API key.
        api_secret: API secret.
        agent_name: The setting ``agent_name`` of the workers; empty where dispatch is automatic.
    """

    url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    agent_name: str = ""

    @classmethod
    def of(cls, worker: WorkerSettings, *, needs_url: bool = True, url: str = "") -> Self:
        """Return the connection that the settings of a worker name.

        Args:
            worker: The settings.
            needs_url: Whether the server is to be reached; tokens are made without it.
            url: The server's address, where it is not the one in the settings.

        Raises:
            OpenRTCError: Something is missing; the message says what.
        """
        url = url or worker.url
        given = {"LIVEKIT_API_KEY": worker.api_key, "LIVEKIT_API_SECRET": worker.api_secret}
        if needs_url:
            given = {"LIVEKIT_URL": url, **given}
        if missing := [name for name, value in given.items() if not value]:
            raise OpenRTCError(
                f"missing: {', '.join(missing)}",
                fix="set it in the environment, in .env or by --url --api-key --api-secret; "
                "without a server: openrtc dev --with-server, or openrtc demo",
            )
        return cls(url=url, api_key=worker.api_key, api_secret=worker.api_secret, agent_name=worker.agent_name)

    @classmethod
    def from_settings(cls) -> Self:
        """Return the connection that `openrtc.toml`, `.env` and the environment name.

        Raises:
            OpenRTCError: Something is missing or wrong.
        """
        return cls.of(load_config().worker)

    @property
    def names(self) -> WorkerNames:
        """Under which names the workers are registered."""
        return WorkerNames.parse(self.agent_name)

    @property
    def address(self) -> str:
        """The server's address without user name and password, for messages."""
        return strip_credentials(self.url)


def strip_credentials(url: str) -> str:
    """Return an address without user name and password, so that it can be logged."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are no address
        return re.sub(r"(?<=://)[^/@]*@", "", url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def describe_refusal(url: str, api_key: str) -> str:
    """Return that a LiveKit server does not take a key and its secret."""
    return f"{strip_credentials(url)} refuses the API key {api_key!r} with this secret"


@contextlib.asynccontextmanager
async def open_api(connection: LiveKitConnection, accept: Iterable[str] = ()) -> AsyncIterator[api.LiveKitAPI]:
    """Open the server's API for an ``async with`` block: the one place where OpenRTC does.

    Args:
        connection: The server.
        accept: Codes of answers that are the caller's business, such as ``not_found``: they are raised as they are.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    import aiohttp
    from livekit import api

    key, secret = connection.api_key, connection.api_secret
    verifier = api.TokenVerifier(key, secret)

    async def sign_briefly(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        # `livekit.api` signs each request for six hours.
        given = verifier.verify(request.headers["authorization"].removeprefix("Bearer "))
        token = api.AccessToken(key, secret).with_ttl(REQUEST_LIFETIME)
        if given.video:
            token = token.with_grants(given.video)
        if given.sip:
            token = token.with_sip_grants(given.sip)
        request.headers["authorization"] = f"Bearer {token.to_jwt()}"
        return await send(request)

    where, timeout = connection.address, aiohttp.ClientTimeout(total=API_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, middlewares=[sign_briefly]) as session,
            api.LiveKitAPI(connection.url, key, secret, session=session) as livekit,
        ):
            yield livekit
    except (aiohttp.ClientError, OSError) as error:
        why = one_line(str(error)) or type(error).__name__
        raise OpenRTCError(f"cannot reach {where}: {why}", fix="is the LiveKit server running?") from error
    except api.TwirpError as error:
        if error.code in accept:
            raise
        if error.code in _REFUSALS or error.status == http.HTTPStatus.UNAUTHORIZED:
            raise OpenRTCError(describe_refusal(connection.url, connection.api_key), fix=KEY_FIX) from error
        raise OpenRTCError(f"{where} refused: {one_line(error.message) or error.code}") from error
