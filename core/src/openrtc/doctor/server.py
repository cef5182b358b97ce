"""What is wrong with the LiveKit server, as far as its answers tell."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from openrtc.dispatch.connection import strip_credentials
from openrtc.dispatch.server_probe import NO_HTTP, Problem, ServerAnswer, is_this_machine
from openrtc.doctor.results import fail, ok, warn
from openrtc.model.check_result import CheckResult

SERVER, CLOCK = "server", "clock"
MOST_OFF = 30.0
"""Seconds that clocks may differ by: the server checks when a token begins and ends."""
RESET = os.strerror(errno.ECONNRESET)
"""How a port may answer that wants TLS, if at all."""
KEY_PREFIX = "API"
"""How the keys begin that LiveKit's Cloud gives out, and no secret."""


def judge_server(answer: ServerAnswer, url: str, *, origin: str, looks_swapped: bool = False) -> Iterator[CheckResult]:
    """Say what a server's answer means.

    Args:
        answer: What it has answered.
        url: Its address.
        origin: Where the address stands.
        looks_swapped: Whether the secret looks like a key, and the key does not.
    """
    address = strip_credentials(url)
    if answer.problem is None:
        version = f"LiveKit {answer.version}" if answer.version else "a LiveKit server"
        yield ok(SERVER, f"{address}: {version}, answers in {answer.ms or 0:.0f} ms")
    else:
        message, fix = _explain(answer, address, origin)
        if looks_swapped and answer.problem in (Problem.KEY, Problem.SECRET, Problem.REFUSED):
            fix = f"LIVEKIT_API_KEY and LIVEKIT_API_SECRET look swapped; else {fix}"
        yield fail(SERVER, message, fix)
    yield from _judge_clock(answer)


def looks_swapped(api_key: str, api_secret: str) -> bool:
    """Whether a key and a secret look as if each were the other."""
    return api_secret.startswith(KEY_PREFIX) and not api_key.startswith(KEY_PREFIX)


def _explain(answer: ServerAnswer, address: str, origin: str) -> tuple[str, str]:
    detail = answer.detail
    correct = f"correct LIVEKIT_URL (from {origin})"
    is_plain = address.startswith(("ws:", "http:"))
    secure = "; where it speaks TLS, by wss://" if is_plain and detail in (RESET, NO_HTTP) else ""
    match answer.problem:
        case Problem.NO_ADDRESS:
            return f"{address} cannot be an address", f"{correct}, as in wss://my-project.livekit.cloud"
        case Problem.UNREACHABLE:
            start = (
                "start it (openrtc dev --with-server has one of its own)" if is_this_machine(address) else "start it"
            )
            return f"{address} cannot be reached: {detail}", f"{start}, or {correct}{secure}"
        case Problem.TLS if "certificate" in detail:
            trust = "name its authority by SSL_CERT_FILE"
            return f"{address} has no TLS that is trusted: {detail}", f"give it a certificate for that name, or {trust}"
        case Problem.TLS:
            plain = "ws" + address.removeprefix("wss").removeprefix("https")
            return f"{address} cannot be reached by TLS: {detail}", f"set LIVEKIT_URL to {plain}, or {correct}"
        case Problem.REDIRECT:
            target = "ws" + detail.removeprefix("http").rstrip("/") if detail.startswith("http") else ""
            return f"{address} has to be called by {detail}", f"set LIVEKIT_URL to {target}" if target else correct
        case Problem.OTHER_SERVER:
            return f"{address} is no LiveKit server: {detail}", f"{correct}: another program listens there{secure}"
        case Problem.UNHEALTHY:
            return f"{address} cannot serve: {detail}", "look into the LiveKit server's log"
        case Problem.KEY:
            fix = "take LIVEKIT_API_KEY and LIVEKIT_API_SECRET from that server's configuration or project"
            return f"{address} does not know the API key", fix
        case Problem.SECRET:
            fix = "take LIVEKIT_API_SECRET anew from that server's configuration or project"
            return f"{address} knows the API key, and this is not its secret", fix
        case Problem.TIME:
            return (
                f"{address} takes the key and secret, but no token of this machine's time",
                "set this machine's clock",
            )
        case Problem.NO_AGENTS:
            fix = "let whatever stands before the server pass WebSockets to /agent, and look into the server's log"
            return f"{address} takes the key and secret, and no worker can register: {detail}", fix
    fix = "take LIVEKIT_API_KEY and LIVEKIT_API_SECRET anew from that server's configuration or project"
    return f"{address} refuses the API key with this secret", fix


def _judge_clock(answer: ServerAnswer) -> Iterator[CheckResult]:
    if answer.ahead is None:
        return
    seconds = abs(answer.ahead)
    if seconds <= MOST_OFF:
        yield ok(CLOCK, "as the server's, to a second" if seconds <= 1 else f"{seconds:.0f} s off the server's")
        return
    side = "ahead of" if answer.ahead > 0 else "behind"
    message = (
        f"this machine's clock is {_describe(seconds)} {side} the server's: tokens count as expired or as too early"
    )
    fix = "set this machine's clock, as by timedatectl set-ntp true, or the server's if that is the wrong one"
    yield (fail if seconds > 2 * MOST_OFF or answer.problem is Problem.TIME else warn)(CLOCK, message, fix)


def _describe(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
