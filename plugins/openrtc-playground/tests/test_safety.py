"""What other pages, other hosts and other users get of the playground."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.settings.load import load_config
from openrtc_playground.app import Playground, build_app
from openrtc_playground.safety import KEY_HEADER, LARGEST_BODY, build_headers
from openrtc_playground.tickets import Tickets

KEY = "the-key-of-this-start"
SECRET = "a secret that is long enough to sign with"
JSON = {"Content-Type": "application/json"}


class Page:
    """A browser's view of a playground that is served.

    Args:
        client: Sends what it asks for.
        origin: Where it is served.
        tickets: Its tickets.
    """

    def __init__(self, client: TestClient[Any, Any], origin: str, tickets: Tickets) -> None:
        self.client = client
        self.origin = origin
        self.tickets = tickets

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Ask with the key and the page's own origin, but for the headers that say otherwise; empty takes one out."""
        own = {"Origin": self.origin, KEY_HEADER.replace("-", "_"): KEY, "Content_Type": "application/json"}
        sent = {name.replace("_", "-"): text for name, text in {**own, **headers}.items() if text}
        async with self.client.request(method, path, data=body or None, headers=sent, allow_redirects=False) as answer:
            return answer.status, await answer.text()


@pytest_asyncio.fixture
async def page(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    connection = LiveKitConnection(
        url="ws://127.0.0.1:1", api_key="devkey", api_secret=SECRET, agent_name=getattr(request, "param", "")
    )
    playground = Playground(config=load_config(environ={}), connection=connection, key=KEY)
    tickets = Tickets()
    async with TestClient(TestServer(build_app(playground, tickets), host="127.0.0.1")) as client:
        playground.port = client.port or 0
        yield Page(client, f"http://127.0.0.1:{client.port}", tickets)


TOKEN = b'{"agent": ""}'


async def test_the_page_itself_gets_a_token(page: Page) -> None:
    status, text = await page.ask("POST", "/api/token", TOKEN)
    assert status == 200, text


@pytest.mark.parametrize("page", ["per-agent"], indirect=True)
async def test_where_no_worker_would_choose_an_agent_one_has_to_be_named(page: Page) -> None:
    status, text = await page.ask("POST", "/api/token", TOKEN)
    assert status == 400 and "which agent?" in text and "name one" in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"X_OpenRTC_Key": ""}, 401),
        ({"X_OpenRTC_Key": KEY[:-1]}, 401),
        ({"X_OpenRTC_Key": KEY + "\u00e9"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1.evil.example:7890"}, 403),
        ({"Content_Type": "text/plain"}, 415),
    ],
)
async def test_nobody_else_gets_a_token(page: Page, headers: Mapping[str, str], status: int) -> None:
    got, text = await page.ask("POST", "/api/token", TOKEN, **headers)
    assert got == status and "eyJ" not in text, text


@pytest.mark.parametrize("path", ["/api/agents", "/api/calls", "/api/watch", "/api/", "/api/nothing"])
async def test_all_of_the_api_needs_the_key(page: Page, path: str) -> None:
    assert (await page.ask("GET", path, X_OpenRTC_Key=""))[0] == 401
    assert (await page.ask("GET", path, Origin="https://evil.example"))[0] == 403


async def test_no_name_that_leads_here_gets_even_the_page(page: Page) -> None:
    assert (await page.ask("GET", "/"))[0] == 200
    assert (await page.ask("GET", "/", Host="evil.example"))[0] == 403
    assert (await page.ask("GET", "/", Host=page.origin.replace("http://127.0.0.1", "LOCALHOST")))[0] == 200


@pytest.mark.parametrize(
    "path", ["/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "//etc/passwd", "/%00", "/static/index.html", "/.", "/x"]
)
async def test_only_the_pages_own_files_are_served(page: Page, path: str) -> None:
    # Clients make such a path plain before they send it.
    reader, writer = await asyncio.open_connection("127.0.0.1", page.client.port)
    host = page.origin.removeprefix("http://")
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith(("HTTP/1.1 404 ", "HTTP/1.1 400 ")) and "import" not in answer and "root:" not in answer


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 10_000, 400),
        (b'{"agent": 5}', 400),
        (b'{"agent": "", "text": "yes"}', 400),
        (b'{"agent": "%s"}' % (b"a" * 600), 400),
        (b'{"name": "per-agent"}', 400),
        (b'{"name": "one,two"}', 400),
        (b'{"agent": "%s"}' % (b"a" * LARGEST_BODY), 413),
    ],
)
async def test_what_is_no_question_is_told_in_one_line(page: Page, body: bytes, status: int) -> None:
    got, text = await page.ask("POST", "/api/token", body)
    assert got == status and '"error": "' in text and "Traceback" not in text and "\n" not in text


async def test_other_methods_are_refused(page: Page) -> None:
    assert [(await page.ask(method, "/"))[0] for method in ("POST", "PUT", "DELETE", "OPTIONS")] == [405] * 4
    assert [(await page.ask(method, "/api/token"))[0] for method in ("PUT", "DELETE")] == [405] * 2


async def test_a_ticket_opens_the_page_once(page: Page) -> None:
    ticket = page.tickets.make()
    async with page.client.get(f"/open/{ticket}", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"/?key={KEY}")
    assert (await page.ask("GET", f"/open/{ticket}"))[0] == 403
    assert (await page.ask("GET", "/open/another"))[0] == 403


async def test_every_answer_says_what_the_page_may_do(page: Page) -> None:
    for method, path in [("GET", "/"), ("GET", "/nothing"), ("PUT", "/"), ("GET", "/api/agents")]:
        async with page.client.request(method, path) as answer:
            policy = answer.headers["Content-Security-Policy"].split("; ")
            assert (
                "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script-src 'self'" in policy
            )
            assert "connect-src 'self' ws://127.0.0.1:1 http://127.0.0.1:1" in policy
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert not any(name.startswith("Access-Control") for name in answer.headers)


@pytest.mark.parametrize(
    ("url", "sources"),
    [
        ("wss://me:secret@one.example/", "wss://one.example https://one.example"),
        ("https://one.example:8443", "wss://one.example:8443 https://one.example:8443"),
        (
            "wss://my.livekit.cloud",
            "wss://my.livekit.cloud https://my.livekit.cloud wss://*.livekit.cloud https://*.livekit.cloud",
        ),
    ],
)
def test_the_page_may_connect_to_the_livekit_server_alone(url: str, sources: str) -> None:
    assert f"connect-src 'self' {sources};" in build_headers(url)["Content-Security-Policy"]


async def test_what_fails_is_told_in_one_line(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("no socket")

    monkeypatch.setattr("openrtc_playground.app.list_calls", fail)
    status, text = await page.ask("GET", "/api/calls")
    assert status == 500 and "RuntimeError: no socket" in text and "Traceback" not in text


async def test_a_server_that_does_not_answer_is_told_with_what_to_do(page: Page) -> None:
    status, text = await page.ask("GET", "/api/calls")
    assert status == 502 and "cannot reach ws://127.0.0.1:1" in text and "is the LiveKit server running?" in text
