"""What keeps other pages, other users and other machines out of the playground, which hands out tokens."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from openrtc.dispatch.connection import strip_credentials
from openrtc.errors import summarize_error

logger = logging.getLogger("openrtc.playground")

KEY_HEADER = "X-OpenRTC-Key"
LARGEST_BODY = 16 * 1024
"""Bytes of a request."""

CLOUD = ".livekit.cloud"
"""How the names of LiveKit Cloud's servers end: a client is sent on to one of its region."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: The HTTP status.
        error: Why, in one line.
        fix: What to do.
    """

    def __init__(self, status: int, error: str, fix: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.fix = fix


def build_headers(url: str) -> dict[str, str]:
    """Return the headers of each answer.

    Args:
        url: Address of the LiveKit server, to which alone the page may connect.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "'self' blob: mediastream:",
        "worker-src": "'self' blob:",
        "connect-src": " ".join(["'self'", *_list_sources(url)]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "openrtc-playground",
    }


def build_guard(
    port: Callable[[], int], key: str, headers: dict[str, str]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return what looks at each request before it is answered, and at each answer.

    Args:
        port: Returns the port that the playground listens on.
        key: What whoever asks for something other than the page itself has to know.
        headers: Those of each answer.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_host(request.host, port())
            if request.path.startswith("/api/"):
                check_caller(request, key)
            answer = await handler(request)
        except RefusedError as refused:
            answer = tell_error(refused.status, refused.error, refused.fix)
        except web.HTTPException as error:
            if error.status < 400:
                answer = error
            else:
                answer = tell_error(error.status, f"{request.method} of this: {error.reason}")
                if "Allow" in error.headers:
                    answer.headers["Allow"] = error.headers["Allow"]
        except Exception as error:  # whatever it is, its answer has these headers, too, and the page something to show
            logger.debug("%s %s", request.method, request.path, exc_info=error)
            answer = tell_error(500, f"the playground has failed: {summarize_error(error)}", "the next try may work")
        answer.headers.update(headers)
        return answer

    return guard


def check_host(host: str, port: int) -> None:
    """Refuse a request that was made to another host: a name of somebody else's that leads here.

    Args:
        host: The header ``Host``.
        port: The port that the playground listens on.

    Raises:
        RefusedError: It was.
    """
    if host.lower() not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        raise RefusedError(403, "this page is for its own machine only", f"open http://127.0.0.1:{port}/")


def check_caller(request: web.Request, key: str) -> None:
    """Refuse a request that does not come from the page itself.

    Args:
        request: The request, whose host is this one.
        key: What it has to carry.

    Raises:
        RefusedError: It comes from elsewhere, or without the key.
    """
    origin = request.headers.getall("Origin", [])
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    # A page's own GET has no Origin; its POST has one, always.
    allowed = origin == [f"http://{request.host}"] or (not origin and request.method == "GET")
    if not allowed or site != "same-origin":
        raise RefusedError(403, "only the playground's own page may ask for this")
    given = request.headers.get(KEY_HEADER, "")
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
        raise RefusedError(
            401, "the key is missing or wrong", "open the address that openrtc has printed: each start has its own key"
        )


def tell_error(status: int, error: str, fix: str = "") -> web.Response:
    """Return the answer to a request that comes to nothing."""
    return web.json_response({"error": error, "fix": fix}, status=status)


def _list_sources(url: str) -> list[str]:
    parts = urlsplit(strip_credentials(url))
    secure = parts.scheme in ("wss", "https")
    hosts = [parts.netloc]
    if (parts.hostname or "").endswith(CLOUD):
        hosts.append(f"*{CLOUD}")
    schemes = ("wss", "https") if secure else ("ws", "http")
    return [f"{scheme}://{host}" for host in hosts for scheme in schemes]
