"""What all commands' parsers have in common: looked up in all of them, so that a new one has it too."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.commands import ALIASES, COMMANDS, EXAMPLES
from openrtc.cli.main import main
from openrtc.cli.parsers import build_parser

if TYPE_CHECKING:
    from conftest import Site


def parsers() -> Iterator[argparse.ArgumentParser]:
    """Yield the parser of each command and action that does something."""
    for name in COMMANDS:
        yield from leaves(build_parser(name, import_module(f"openrtc.cli.{name.replace('-', '_')}")))


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    actions = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not actions:
        yield parser
    for action in actions:
        for one in {id(one): one for one in action.choices.values()}.values():
            yield from leaves(one)


def options() -> Iterator[tuple[str, argparse.Action]]:
    """Yield each option of each command that its help shows, with its command."""
    for parser in parsers():
        for action in parser._actions:
            if action.option_strings and action.help not in (argparse.SUPPRESS, None):
                yield parser.prog, action


def test_one_meaning_has_one_spelling_in_all_commands() -> None:
    spellings: dict[str, set[str]] = defaultdict(set)
    for _, action in options():
        spellings[str(action.help)].add(" ".join(action.option_strings))
    assert {text: flags for text, flags in spellings.items() if len(flags) > 1} == {}


def test_one_option_takes_one_kind_of_value_in_all_commands() -> None:
    kinds: dict[str, set[str]] = defaultdict(set)
    for _, action in options():
        for flag in action.option_strings:
            kinds[flag].add(str(action.metavar).partition("[")[0])
    assert {flag: found for flag, found in kinds.items() if len(found) > 1} == {}


@pytest.mark.parametrize("what", ["agent", "room", "metadata", "json"])
def test_what_several_commands_have_is_called_the_same(what: str) -> None:
    flags = {flag for _, action in options() for flag in action.option_strings if flag.endswith(f"-{what}")}
    assert flags - {"--room-metadata", "--new-room"} == {f"--{what}"}


@pytest.mark.parametrize("parser", list(parsers()), ids=lambda parser: parser.prog.removeprefix("openrtc "))
def test_the_help_of_every_command_shows_examples_that_it_takes(parser: argparse.ArgumentParser) -> None:
    assert parser.epilog and parser.epilog.startswith("examples:\n  openrtc ")
    for line in parser.epilog.splitlines()[1:]:
        command = line.strip()
        assert command.startswith(parser.prog)
        parser.parse_args(shlex.split(command.removeprefix(parser.prog), comments=True))


def test_every_command_without_actions_has_examples_of_its_own() -> None:
    assert set(COMMANDS) - set(EXAMPLES) == {"dispatch", "token", "sip"}


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["help"], "usage: openrtc [OPTIONS] COMMAND ..."),
        (["help", "call"], "usage: openrtc call"),
        (["help", "ls"], "usage: openrtc list-agents"),
        (["-V"], "openrtc-core "),
        (["version"], "openrtc-core "),
        (["call", "-V"], "openrtc-core "),
        (["list", "--help"], "usage: openrtc list-agents"),
        (["dispatch", "ls", "--help"], "usage: openrtc dispatch list"),
    ],
)
def test_what_people_type_by_habit_leads_to_the_right_place(
    typed: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert not ended.value.code
    assert capsys.readouterr().out.startswith(shown)


def test_an_alias_is_no_commands_name() -> None:
    assert not set(ALIASES) & set(COMMANDS)
    assert set(ALIASES.values()) <= {*COMMANDS, "--help", "--version"}


def test_the_old_name_of_an_option_still_works(capsys: pytest.CaptureFixture[str]) -> None:
    main(["route", "--room", "x", "--job-metadata", '{"agent": "nobody-of-that-name"}'])
    assert "nobody-of-that-name" in capsys.readouterr().out


WATCH = """
import contextlib, io, json, sys
from openrtc.cli.main import main
base = set(sys.modules)
for words in json.loads(sys.argv[1]):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*words, "--help"])
print(sorted({name.partition(".")[0] for name in set(sys.modules) - base} & set(json.loads(sys.argv[2]))))
"""


@pytest.mark.process
def test_no_help_imports_what_takes_long(site: Site) -> None:
    heavy = ["livekit", "rich", "pluggy", "packaging", "importlib_metadata", "pydantic", "numpy", "aiohttp"]
    heavy += ["asyncio", "ssl", "pathlib", "urllib", "secrets", "datetime", "tomllib", "subprocess", "shutil"]
    words = [parser.prog.split()[1:] for parser in parsers()]
    done = site.python("-c", WATCH, json.dumps(words), json.dumps(heavy))
    assert done.stdout == "[]\n", done.stderr
