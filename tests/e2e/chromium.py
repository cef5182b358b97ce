"""Headless Chromium, driven over its own pipe: pages, their scripts, keys, and what they look like."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root has to do without
    "--disable-gpu",
    "--allow-loopback-in-peer-connection",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-pipe",
)
LAUNCHER = """
import os, sys
reads, writes = (os.dup2(int(one), number) for one, number in zip(sys.argv[1:3], (200, 201)))
os.dup2(reads, 3)
os.dup2(writes, 4)
os.closerange(5, 202)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads from descriptor 3 and writes to 4, whichever the pipes have here."""
ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.05


class Chromium:
    """A browser of its own, with an empty profile.

    Args:
        folder: Where its profile, log and pictures go.
        spoken: A WAV file that its microphone hears once; silence without one.
        microphone: Whether there is a microphone.
    """

    def __init__(self, folder: Path, *, spoken: Path | None = None, microphone: bool = True) -> None:
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        assert program, f"none of {', '.join(NAMES)} is on the PATH"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}"]
        if not microphone:
            flags = [flag for flag in flags if flag != "--use-fake-device-for-media-stream"]
        if spoken:
            flags.append(f"--use-file-for-fake-audio-capture={spoken}%noloop")
        its_in, our_out = os.pipe()
        our_in, its_out = os.pipe()
        command = [sys.executable, "-c", LAUNCHER, str(its_in), str(its_out), program, *flags]
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, pass_fds=(its_in, its_out), stdout=log, stderr=log, start_new_session=True
            )
        os.close(its_in)
        os.close(its_out)
        self._out = our_out
        self._in = os.fdopen(our_in, "rb")
        self._ids = itertools.count(1)
        self._waiting: dict[int, Queue[dict[str, Any]]] = {}
        self.pages: dict[str, Page] = {}
        threading.Thread(target=self._read, daemon=True, name="chromium").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, with everything that it has started."""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            pass
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol, and return its result."""
        number = next(self._ids)
        answer = self._waiting[number] = Queue()
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        try:
            found = answer.get(timeout=ANSWER_SECONDS)
        except Empty:
            raise AssertionError(f"Chromium does not answer {method}") from None
        assert "error" not in found, f"{method}: {found['error']}"
        result: dict[str, Any] = found["result"]
        return result

    def open(self, url: str, *, width: int = 1440, height: int = 900, before: str = "") -> Page:
        """Open a page in a tab of its own, and wait until it is loaded.

        Args:
            url: Its address.
            width: Of what is seen of it, in pixels.
            height: Of the same.
            before: A script that runs before those of the page.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        if before:
            page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        page.call("Page.navigate", url=url)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def allow_microphone(self, origin: str, *, allowed: bool = True) -> None:
        """Answer for the person who is asked whether a page may use the microphone."""
        setting = "granted" if allowed else "denied"
        self.call("Browser.setPermission", permission={"name": "microphone"}, setting=setting, origin=origin)

    def _read(self) -> None:
        data = b""
        while part := self._in.read1(1 << 16):
            *whole, data = (data + part).split(b"\0")
            for one in whole:
                self._take(json.loads(one))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            if waiting := self._waiting.pop(message["id"], None):
                waiting.put(message)
        elif page := self.pages.get(message.get("sessionId", "")):
            page.note(message["method"], message["params"])


class Page:
    """A tab.

    Args:
        browser: The browser.
        session: The session of the DevTools protocol.
        target: What the protocol calls the tab.
    """

    def __init__(self, browser: Chromium, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self.console: list[str] = []
        self.errors: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol for this tab."""
        return self._browser.call(method, self._session, **parameters)

    def note(self, method: str, told: dict[str, Any]) -> None:
        """Note what the page prints, and what goes wrong in it."""
        if method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value", one.get("description", ""))) for one in told["args"]))
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.console.append(f"{told['entry']['level']}: {told['entry']['text']} {told['entry'].get('url', '')}")

    def run(self, script: str) -> Any:
        """Return the value of an expression; that of a promise, when it has one."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, self._describe(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def wait(self, condition: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true, or something that is there."""
        until = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < until, self._describe(f"not true after {seconds:g} s: {condition}")
            time.sleep(POLL_SECONDS)

    def text(self, selector: str) -> str:
        """Return what is read where a selector leads first."""
        found: str = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    def wait_for_text(self, selector: str, text: str, seconds: float = 20.0) -> None:
        """Wait until something that a selector finds shows a text, whatever the letters' case."""
        where, what = json.dumps(selector), json.dumps(text.lower())
        self.wait(
            f"[...document.querySelectorAll({where})].some((one) => one.textContent.toLowerCase().includes({what}))",
            seconds,
        )

    def click(self, selector: str) -> None:
        """Click where a selector leads, as a mouse does."""
        where = json.dumps(selector)
        x, y = self.run(
            f"(() => {{ const one = document.querySelector({where}); one.scrollIntoView({{block: 'nearest'}});"
            " const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, code: str = "", alt: bool = False) -> None:
        """Press a key, such as ``Enter``, ``Tab`` or ``ArrowDown``."""
        known = {"Enter": 13, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27, " ": 32}
        number = known.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"Enter": "\r", " ": " "}.get(key, "")
        event = {"key": key, "code": code or key, "windowsVirtualKeyCode": number, "modifiers": 1 if alt else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, *, dark: bool) -> None:
        """Prefer dark or light colours, and that nothing moves."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, name: str) -> Path:
        """Save what is seen, and return the file."""
        file = self._browser.folder / f"{name}.png"
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return file

    def to_front(self) -> None:
        """Show this tab."""
        self.call("Page.bringToFront")

    def close(self) -> None:
        """Close the tab, as a person does."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _describe(self, what: str) -> str:
        """Say what has failed, with what the page has printed and how it looks."""
        lines = [
            what,
            f"picture: {self.picture(f'failed-{self._target[:6]}')}",
            "console:",
            *self.console[-30:],
            "errors:",
            *self.errors,
        ]
        return "\n".join(lines)
