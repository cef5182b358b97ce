"""Whether `openrtc dev` can open the playground."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.main import main

if TYPE_CHECKING:
    from conftest import Site


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["dev", "--playground", *options]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said.err
    return said.err


def test_without_the_package_a_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("openrtc.cli.playground.discover", lambda config: [])
    assert refusal(capsys).startswith("openrtc: --playground: the playground is not installed (")


def test_where_the_operator_does_not_allow_it_a_line_says_so(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("openrtc-playground", commands={"playground": "my_page:main"}, files={"my_page.py": ""})
    said = refusal(capsys, "--allow", "my-agent")
    assert said.startswith("openrtc: --playground: the playground is not-allowed: not in the allow list (add ")


class Replaced(Exception):
    """Another program takes the place of this process."""


@pytest.mark.parametrize("browser", ["firefox", ""])
def test_the_demo_goes_on_in_a_browser_where_there_is_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], browser: str
) -> None:
    site.add("openrtc-playground", commands={"playground": "my_page:main"}, files={"my_page.py": ""})
    prompts: list[str] = []
    replaced: list[tuple[list[str], Mapping[str, str]]] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "playground" if browser else ""

    def replace_process(_: str, command: list[str], environ: Mapping[str, str]) -> None:
        replaced.append((command, environ))
        raise Replaced

    result = SimpleNamespace(agent="support", exit_code=0)
    monkeypatch.setattr("openrtc.conversation.demo.demo.demo", lambda *_, **__: result)
    monkeypatch.setattr("openrtc.cli.browser.has_browser", lambda: bool(browser))
    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(os, "execve", replace_process)
    command = ["demo", "--deny", "other,more", "--api-secret", "hidden", "--url", "ws://127.0.0.1:1"]
    with pytest.raises(Replaced) if browser else contextlib.nullcontext():
        assert main(command) == 0
    assert ("in a browser" in prompts[0]) is bool(browser)
    if browser:
        ((words, environ),) = replaced
        assert words[1:] == ["-m", "openrtc", "dev", "--playground", "--deny", "other,more"]
        assert (environ["LIVEKIT_URL"], environ["LIVEKIT_API_SECRET"]) == ("ws://127.0.0.1:1", "hidden")
