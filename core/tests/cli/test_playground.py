"""Whether `openrtc dev` can open the playground."""

from __future__ import annotations

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
