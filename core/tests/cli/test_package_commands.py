from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.main import main

if TYPE_CHECKING:
    from conftest import Site

VIP = """
import sys

def main():
    print(sys.argv)
    return 3

def leaves():
    raise SystemExit("no such number")

def fails():
    open("/no/such/file")

def needs(words):
    pass

NUMBER = 7
"""


@pytest.fixture(autouse=True)
def own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["openrtc"])


def add(site: Site, **values: str) -> None:
    commands = {name.replace("_", "-"): f"my_vip.cli:{value}" for name, value in values.items()}
    site.add("my-vip", commands=commands, files={"my_vip/__init__.py": "", "my_vip/cli.py": VIP}, summary="Knows 100 %")


def test_it_is_called_with_its_own_words_and_its_answer_is_the_exit_code(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    add(site, vip="main")
    assert main(["--deny", "other", "vip", "list", "--deny", "--help"]) == 3
    assert "['openrtc vip', 'list', '--deny', '--help']" in capsys.readouterr().out


def test_help_and_plugins_list_it_from_metadata(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    add(site, vip="main")
    site.add("never", commands={"never-imported": "never:main"}, files={"never.py": "raise SystemExit(9)"}, summary="x")
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "\n    vip " in text and "Knows 100 %" in text and "\n    never-imported " in text
    assert main(["plugins"]) == 0
    assert "command: openrtc vip" in capsys.readouterr().out
    assert "never" not in sys.modules
    assert not site.load().plugins, "a command is no plugin"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("fails", "command vip of my-vip has failed: FileNotFoundError: [Errno 2] No such file or directory"),
        ("needs", "my_vip.cli:needs needs the arguments words (let it take none, as a script does, and read sys.argv)"),
        ("NUMBER", "my_vip.cli:NUMBER is no function (name one that runs the command, as package.module:main)"),
        ("mian", 'command vip of my-vip is broken: my_vip.cli has no attribute "mian" (did you mean "main"?)'),
    ],
)
def test_one_that_cannot_be_used_is_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], value: str, said: str
) -> None:
    add(site, vip=value)
    assert main(["vip"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "cli.py" in line


def test_one_that_exits_with_words_says_them(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    add(site, vip="leaves")
    assert main(["vip"]) == 1
    assert capsys.readouterr().err == "no such number\n"


def test_what_is_switched_off_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    add(site, vip="main", other="main")
    assert main(["--deny", "my-vip:vip", "vip"]) == 2
    assert 'command vip of my-vip is disabled: denied by the operator (take "my-vip:vip" out of deny)' in (
        capsys.readouterr().err
    )
    assert main(["--allow", "", "other"]) == 2
    assert "is not-allowed" in capsys.readouterr().err
    assert main(["--deny", "my-vip:vip"]) == 0
    text = capsys.readouterr()
    assert "\n    vip " not in text.out and "\n    other " in text.out and not text.err


def test_a_name_of_our_own_wins_and_that_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    add(site, plugins="main")
    assert main([]) == 0
    said = capsys.readouterr().err
    assert "command plugins of my-vip: openrtc has a command plugins of its own, which is used" in said
    assert main(["plugins"]) == 0
    assert "conflict" in capsys.readouterr().out


def test_two_packages_with_one_name_are_a_conflict_that_prefer_settles(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    add(site, vip="main")
    site.add("your-vip", commands={"vip": "your_vip:main"}, files={"your_vip.py": "def main(): print('yours')"})
    assert main(["vip"]) == 2
    assert 'your-vip also brings a command "vip" (in openrtc.toml: [plugins.prefer] vip = "my-vip")' in (
        capsys.readouterr().err
    )
    assert main(["--prefer", "vip=your-vip", "vip"]) == 0
    assert capsys.readouterr().out == "yours\n"


def test_an_unknown_one_is_told_with_the_nearest_name(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    add(site, viper="main")
    assert main(["vipers"]) == 2
    assert 'there is no command "vipers" (did you mean "viper"?)' in capsys.readouterr().err


def test_a_group_in_the_wrong_spelling_is_told(site: Site) -> None:
    site.add("my-vip", entry_points="[openrtc.command]\nvip = my_vip:main\n")
    (entry,) = site.entries()
    assert (entry.reason, entry.fix) == (
        "is in the group [openrtc.command], which OpenRTC does not read",
        "name the group [openrtc.commands]",
    )
