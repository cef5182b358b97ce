"""The page in headless Chromium, with a worker on the real LiveKit server: run by ``nox -s browser``."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.child import environment
from e2e.chromium import Chromium, Page
from e2e.pcm import silence, write_wav
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.server import LocalServer

pytestmark = pytest.mark.process

AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
QUESTION = "where is my order number seven"
REST_SECONDS = 9.0
"""Between two times that the question is asked: whenever the agent listens, it hears it whole."""
PATIENCE = 60.0
STOCK = """
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobExecutorType, cli
from openrtc_offline.rules.llm import RuleLLM

from e2e.cast_models import ToneTTS

server = AgentServer(job_executor_type=JobExecutorType.THREAD, num_idle_processes=0, load_fnc=lambda: 0.0, port=0)


@server.rtc_session(agent_name="stock")
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession(llm=RuleLLM("stock"), tts=ToneTTS(440.0))
    await session.start(Agent(instructions="You are a stock agent."), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
"""
ALL_FINE = """(async () => {
  const {violations} = await axe.run(document, {resultTypes: ['violations']});
  const tell = (node) => `${node.target} ${node.failureSummary}`;
  return violations.map((one) => `${one.id}: ${one.nodes.map(tell).join('; ')}`);
})()"""
TOO_WIDE = """['html', 'main', '.side', '.talk', '.scroll', '.details', '.head', '.bar']
  .map((one) => document.querySelector(one)).filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What has to be scrolled sideways."""
NOTICES = "[...document.querySelectorAll('.notice')]"


class Served:
    """``openrtc playground``, and how the page is opened."""

    def __init__(self, api: ServerApi, browser: Chromium) -> None:
        connection = {"LIVEKIT_URL": api.url, "LIVEKIT_API_KEY": api.key, "LIVEKIT_API_SECRET": api.secret}
        command = [sys.executable, "-m", "openrtc", "playground", "--no-open"]
        self._process = subprocess.Popen(
            command, env=environment(**connection), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        assert "http" in line, line
        self.address = line[line.index("http") :]
        self.origin, _, self.key = self.address.partition("/?key=")
        self.browser = browser

    def open(self, **options: Any) -> Page:
        """Open the page, and wait until it shows what there is to call."""
        page = self.browser.open(self.address, **options)
        page.wait("document.querySelector('.agent') && document.querySelector('#server').textContent", PATIENCE)
        return page

    def call(self, agent: str, *, text: bool = False, **options: Any) -> Page:
        """Open the page, choose an agent, and call it."""
        page = self.open(**options)
        page.wait_for_text("#worker", "is ready", PATIENCE)
        page.click(f"input[name=agent][value={json.dumps(agent)}]")
        if text:
            page.click("input[value=text]")
        press_call(page)
        return page

    def call_by_name(self, name: str, *, text: bool = False) -> Page:
        """Open the page, and call the agent of another worker, by the name under which that is dispatched."""
        page = self.open()
        page.click("input[name=agent][value=' stock']")
        page.click("#stock-name")
        page.type(name)
        if text:
            page.click("input[value=text]")
        press_call(page)
        return page

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def api(server: LocalServer) -> ServerApi:
    return ServerApi(server.url, server.api_key, server.api_secret)


@pytest.fixture(scope="module")
def worker(api: ServerApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    with openrtc_worker(api, tmp_path_factory.mktemp("worker") / "worker.log", "--offline") as running:
        yield running.wait_until_ready()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    folder = tmp_path_factory.mktemp("browser")
    with Voice() as voice:
        sound = np.concatenate([silence(REST_SECONDS), voice.say(QUESTION)])
    write_wav(folder / "question.wav", sound)
    with Chromium(folder, spoken=folder / "question.wav") as running:
        yield running


@pytest.fixture(scope="module")
def served(api: ServerApi, browser: Chromium) -> Iterator[Served]:
    running = Served(api, browser)
    browser.allow_microphone(running.origin)
    yield running
    running.stop()


def press_call(page: Page) -> None:
    page.wait("!document.querySelector('#call').disabled")
    page.click("#call")


def say(page: Page, text: str) -> None:
    page.run("document.querySelector('#line').focus()")
    page.type(text)
    page.press("Enter")


def check_by_axe(page: Page) -> None:
    page.run(AXE.read_text(encoding="utf-8") + "; true")
    for dark in (False, True):
        page.prefer(dark=dark)
        assert page.run(ALL_FINE) == [], page.picture(f"axe-{'dark' if dark else 'light'}")
    page.prefer(dark=False)


def test_a_spoken_question_is_answered_aloud_and_watched_by_another_tab(worker: WorkerProcess, served: Served) -> None:
    page = served.call("support")
    page.wait_for_text(".words.mine", "order", PATIENCE)
    page.wait_for_text(".tool[data-status=done]", "order_number: 7", PATIENCE)
    page.click("#mute")  # the question is asked again and again
    page.wait_for_text(".tool", "arrives on Friday", PATIENCE)
    page.wait_for_text(".words.theirs", "arrives on Friday", PATIENCE)
    page.wait("performance.getEntriesByName('openrtc:first-sound').length", PATIENCE)
    page.wait("document.querySelector('.words.theirs .stages')", PATIENCE)
    labels = page.text("#latency")
    # The rules' first token may take less than what is shown.
    assert all(stage in labels for stage in ("Transcription", "First sentence", "TTS first byte", "End to end")), labels
    assert "asks for 'support'" in page.text("#why")
    assert "order_status" in page.text("#agent")
    page.wait_for_text("#usage", "s heard", PATIENCE)
    room = page.run("document.querySelector('#calls .mine .quiet').textContent")

    watcher = served.open()
    watcher.wait(f"document.querySelector('#calls [data-room=\"{room}\"]')", PATIENCE)
    watcher.click(f"#calls [data-room='{room}']")
    watcher.wait_for_text(".words.theirs", "arrives on Friday", PATIENCE)  # what was said before
    assert watcher.run("document.querySelector('#line').disabled")
    page.to_front()
    say(page, "what are your opening hours")
    for seen in (page, watcher):
        seen.wait_for_text(".tool", "opening_hours", PATIENCE)
        seen.wait_for_text(".words.theirs", "nine in the morning", PATIENCE)
    assert page.text("#calls .mine").count("you-") == 1
    assert "watcher" not in page.text("#calls")
    watcher.close()
    page.click("#hang")
    page.wait_for_text("#state", "hung up")
    assert page.errors == []
    page.close()


def test_a_call_in_text_by_keys_alone_is_fine_for_everybody(worker: WorkerProcess, served: Served) -> None:
    page = served.open()
    page.wait_for_text("#worker", "is ready", PATIENCE)
    check_by_axe(page)
    while page.run("document.activeElement.name") != "agent":
        page.press("Tab")
    for _ in range(10):
        if page.run("document.activeElement.value") == "support":
            break
        page.press("ArrowDown")
    page.press("Tab")
    page.press("ArrowRight")
    assert page.run("document.querySelector('input[value=text]').checked")
    page.press("c", code="KeyC", alt=True)
    page.wait("!document.querySelector('#line').disabled")
    assert page.run("document.activeElement.id") == "line"
    page.type("what are your opening hours")  # before the agent listens
    page.press("Enter")
    page.wait_for_text(".words.theirs", "nine in the morning", PATIENCE)
    page.wait_for_text("#announce", "nine in the morning", PATIENCE)
    check_by_axe(page)
    page.resize(360, 740)
    for view in ("talk", "details", "agents"):
        page.click(f"[data-to={view}]")
        assert page.run(TOO_WIDE) == [], page.picture(f"narrow-{view}")
    page.press("c", code="KeyC", alt=True)
    page.wait_for_text("#state", "hung up")
    page.close()


def test_each_member_of_a_cast_has_its_column_with_its_tools_and_words(worker: WorkerProcess, served: Served) -> None:
    page = served.call("dispatch", text=True)
    page.wait_for_text(".member[data-speaker='0']", "Tim", PATIENCE)
    page.wait_for_text(".member[data-speaker='1']", "position", PATIENCE)
    page.wait("document.querySelector('.words[data-speaker=\"1\"]')", PATIENCE)  # whom Tim has greeted
    say(page, "which truck is free")
    page.wait_for_text(".tool[data-speaker='0']", "free_truck", PATIENCE)
    page.wait_for_text(".words[data-speaker='0']", "truck is free", PATIENCE)
    lanes = "[...document.querySelectorAll('.words')].map((one) => one.getBoundingClientRect().x)"
    assert page.run(f"new Set({lanes}).size") > 1
    check_by_axe(page)
    page.close()


def test_a_worker_that_lets_nobody_look_in_is_told_and_answers(api: ServerApi, served: Served, tmp_path: Path) -> None:
    with openrtc_worker(api, tmp_path / "lean.log", "--offline", "--profile", "lean", "--agent-name", "lean") as lean:
        lean.wait_until_ready()
        page = served.call_by_name("lean")
        page.wait_for_text("#state", "Listening", PATIENCE)
        page.wait_for_text("#degraded", "Only words and states are shown", PATIENCE)
        say(page, "which truck is free")
        page.wait_for_text(".words.theirs", "truck", PATIENCE)
        assert page.run("document.querySelectorAll('.tool').length") == 0
        page.close()


def test_a_worker_of_livekit_agents_own_kind_answers_what_is_typed(
    api: ServerApi, served: Served, tmp_path: Path
) -> None:
    script = tmp_path / "stock.py"
    script.write_text(STOCK)
    with WorkerProcess([str(script), "start"], api=api, log=tmp_path / "stock.log") as stock:
        stock.wait_until_ready()
        page = served.call_by_name("stock", text=True)
        page.wait_for_text("#state", "Listening", PATIENCE)
        page.wait_for_text("#agent", "Instructions", PATIENCE)
        say(page, "hello")
        page.wait("document.querySelector('.words.theirs')", PATIENCE)
        page.close()


def test_without_a_microphone_or_an_agent_it_says_what_to_do(served: Served) -> None:
    refused = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotFoundError'); }"
    served.browser.allow_microphone(served.origin, allowed=False)
    refusing, lacking = served.open(), served.open(before=refused)
    for page, word in ((refusing, "microphone was refused"), (lacking, "No microphone was found")):
        page.to_front()
        page.click("input[name=agent][value=' stock']")
        page.click("#stock-name")
        page.type("nobody")
        press_call(page)
        page.wait_for_text(".notice", word)
        page.wait_for_text("#state", "Waiting for an agent")
    served.browser.allow_microphone(served.origin)
    # Ten thousand lines are typed before anybody listens.
    lacking.run(
        "for (let n = 0; n < 10000; n++) { const line = document.querySelector('#line');"
        " line.value = n % 2 ? 'x'.repeat(300) : '\\u05e9\\u05dc\\u05d5\\u05dd <img src=x onerror=alert(1)>';"
        " document.querySelector('#say').dispatchEvent(new Event('submit', {cancelable: true})); }"
    )
    lacking.wait_for_text(".notice", "No agent has come")
    lacking.resize(360, 740)
    lacking.wait("document.querySelector('#timeline').childElementCount === 2000")
    assert lacking.run(TOO_WIDE) == []
    assert lacking.run("document.querySelectorAll('#timeline img').length") == 0
    refusing.close()
    lacking.close()


def test_names_are_text_and_thousands_of_agents_can_be_searched(served: Served) -> None:
    agent = {
        "kind": "agent",
        "summary": "<img src=x onerror=alert(1)> " + "w" * 500,
        "distribution": "d",
        "version": "1",
    }
    agent |= {"reason": "", "fix": ""}
    agents = [agent | {"name": f"<b>{number}</b>", "ready": number > 0, "members": []} for number in range(10_000)]
    found = {"server": "ws://there", "own_name": "", "routes": True, "chosen": "", "agents": agents}
    found["worker"] = {"found": True, "state": "ready", "session_host": "operators", "profile": "standard"}
    before = (
        f"const found = {json.dumps(found)}; const real = fetch; fetch = (path, how) =>"
        " path === '/api/agents' ? Promise.resolve(Response.json(found)) : real(path, how)"
    )
    page = served.open(before=before, width=360, height=740)
    assert page.run("document.querySelectorAll('main img, main b b').length") == 0
    assert page.run(TOO_WIDE) == []
    page.run("document.querySelector('#filter').focus()")
    page.type("9876")
    page.wait("document.querySelectorAll('.agents input[type=radio]').length === 3")
    page.close()
    empty = served.open(before=before.replace(json.dumps(agents), "[]"))
    empty.wait_for_text(".none", "openrtc new agent")
    empty.close()


def test_a_stranger_s_page_gets_nothing(served: Served) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>stranger</title>")

        def log_message(self, *_: object) -> None:
            pass

    stranger = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    page = served.browser.open(f"http://127.0.0.1:{stranger.server_port}/")
    attempts = f"""(async () => {{
      const tell = async (path, how) => {{
        try {{ return await (await fetch('{served.origin}' + path, how)).text(); }}
        catch (error) {{ return 'nothing'; }}
      }};
      const key = {{'X-OpenRTC-Key': '{served.key}'}}, json = {{...key, 'Content-Type': 'application/json'}};
      return [await tell('/?key={served.key}'), await tell('/api/agents', {{headers: key}}),
        await tell('/api/token', {{method: 'POST', headers: json, body: '{{}}'}}),
        await tell('/api/token', {{method: 'POST', headers: {{'Content-Type': 'text/plain'}}, body: '{{}}'}})];
    }})()"""
    assert page.run(attempts) == ["nothing"] * 4
    framed = f"""new Promise((done) => {{
      const one = document.createElement('iframe');
      one.onload = () => done(one.contentDocument === null);
      one.src = '{served.address}';
      document.body.append(one);
    }})"""
    assert page.run(framed)  # it is refused, or at least closed to the stranger
    page.close()
    stranger.shutdown()
    stranger.server_close()
    page = served.browser.open(f"{served.origin}/?key=guessed")
    page.wait_for_text(".notice", "the key is missing or wrong")
    page.close()
    page = served.browser.open(f"{served.origin}/")
    page.wait_for_text("#empty", "no key")
    page.close()


def test_the_page_says_that_the_server_is_gone(server: LocalServer, worker: WorkerProcess, served: Served) -> None:
    page = served.call("support", text=True)
    page.wait_for_text("#state", "Listening", PATIENCE)
    server.stop()
    # It says so itself in its last moment, unless the machine is busy.
    page.wait(f"{NOTICES}.some((one) => /server (was stopped|is gone)/.test(one.textContent))", PATIENCE)
    served.stop()
    page.wait_for_text(".notice", "playground does not answer", PATIENCE)
    page.close()
