"""How long it takes from one command to a spoken answer in the page: `openrtc dev --playground`, in headless Chromium.

    python benchmarks/playground.py [TIMES [AGENT]]  # 3 and support by default

No server runs before. As a person does, the page is opened as soon as it is served, an agent is called when it can be,
and asked aloud when it listens. Printed are the seconds from the start of the command, each time anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.child import environment
from e2e.chromium import Chromium, Page
from e2e.pcm import silence, write_wav
from e2e.speech import Voice

QUESTION, ANSWER = "where is my order number seven", "friday"
LISTENS_SECONDS = 2.0
"""From the press of the button, when the microphone begins, to the question: by then the agent listens."""
PATIENCE = 60.0
FIRST_SOUND = """(() => {
  const [first] = performance.getEntriesByName('openrtc:first-sound');
  return first ? performance.timeOrigin + first.startTime : 0;
})()"""


def main(times: int, agent: str) -> None:
    """Measure, and print what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Voice() as voice:
            write_wav(folder / "question.wav", np.concatenate([silence(LISTENS_SECONDS), voice.say(QUESTION)]))
        for number in range(times):
            with Chromium(folder / f"browser-{number}", spoken=folder / "question.wav") as browser:
                measure(browser, agent)


def measure(browser: Chromium, agent: str) -> None:
    """Start everything, ask once, and print when what was there."""
    began = time.time()
    command = [sys.executable, "-m", "openrtc", "dev", "--playground", "--no-open"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        address = next(found for line in process.stdout if (found := re.search(r"http://\S+key=\S+", line))).group()
        steps = {"served": time.time() - began}
        browser.allow_microphone(address.partition("/?")[0])
        page = browser.open(address)
        steps |= ask(page, agent, began)
        print("  ".join(f"{what} {seconds:.1f} s" for what, seconds in steps.items()), flush=True)
    finally:
        process.terminate()
        process.wait(20)


def ask(page: Page, agent: str, began: float) -> dict[str, float]:
    """Call an agent, and return when it could be called, had heard the question, was heard, and had said the answer."""
    page.wait_for_text("#worker", "is ready", PATIENCE)
    page.click(f"input[name=agent][value={agent}]")
    page.wait("!document.querySelector('#call').disabled", PATIENCE)
    steps = {"ready": time.time() - began}
    page.click("#call")
    page.wait_for_text(".words.mine", "order", PATIENCE)
    steps["understood"] = time.time() - began
    page.wait(FIRST_SOUND, PATIENCE)
    steps["first sound"] = page.run(FIRST_SOUND) / 1000 - began
    page.wait_for_text(".words.theirs", ANSWER, PATIENCE)
    return steps | {"answer shown": time.time() - began}


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 3, given[1] if given[1:] else "support")
