"""What the dispatch commands say before they talk to a server; what they do with one is tested end to end."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from openrtc.cli.dispatch_options import parse_duration, parse_pairs, parse_seconds
from openrtc.cli.main import main
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from conftest import Site

SECRET = "a-secret-of-thirty-two-characters"
KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET, "OPENRTC_ALLOW": "pkg-a"}
NOWHERE = KEYS | {"LIVEKIT_URL": "ws://127.0.0.1:9"}


@pytest.fixture
def site_with_agent(site: Site) -> Site:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files={"pkg_a.py": "raise SystemExit(3)"})
    return site


@pytest.mark.process
@pytest.mark.parametrize(
    "command",
    [
        ("dispatch", "create", "--new-room", "--agent", "helpdsk"),
        ("token", "create", "--new-room", "--agent", 'helpdsk={"a": 1}'),
        ("sip", "rule", "create", "--name", "n", "--agent", "helpdsk"),
        ("call", "helpdsk"),
    ],
    ids=lambda command: command[0],
)
def test_a_mistyped_agent_is_one_line_before_the_server_is_asked(
    site_with_agent: Site, command: tuple[str, ...]
) -> None:
    done = site_with_agent.run(*command, env=NOWHERE)
    assert done.returncode == 2
    assert 'there is no agent "helpdsk" (did you mean "helpdesk"?' in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    "command",
    [
        ("dispatch", "create", "--new-room", "--agent", "helpdesk"),
        ("dispatch", "list", "r"),
        ("sip", "rule", "list"),
        ("call", "helpdsk", "--any", "--wav", "{wav}"),
    ],
    ids=lambda command: command[0],
)
def test_a_server_that_is_not_there_is_one_line_without_secrets(
    site_with_agent: Site, command: tuple[str, ...], tone_file: str
) -> None:
    done = site_with_agent.run(*(word.format(wav=tone_file) for word in command), env=NOWHERE)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("openrtc: cannot reach ws://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1 and SECRET not in done.stdout + done.stderr


@pytest.fixture
def tone_file(tmp_path: Any) -> str:
    import wave

    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\x00\x20\x00\xe0" * 4000)
    return str(path)


@pytest.mark.process
def test_a_token_needs_no_server_and_says_what_it_is_for(site_with_agent: Site) -> None:
    command = (
        "token",
        "create",
        "--room",
        "r",
        "--identity",
        "ann",
        "--agent",
        'helpdesk={"k": 1}',
        "--valid-for",
        "2h",
    )
    done = site_with_agent.run(*command, "--json", env=KEYS)
    document = json.loads(done.stdout)
    assert (done.stderr, document["schema_version"], document["room"], document["identity"]) == ("", 1, "r", "ann")
    read = jwt.decode(document["token"], SECRET, algorithms=["HS256"])
    (asked,) = read["roomConfig"]["agents"]
    assert (asked["metadata"], asked["attributes"]["openrtc.agent"]) == ('{"k": 1}', "helpdesk")
    assert read["exp"] - read["nbf"] == 7200
    alone = site_with_agent.run(*command, "--token-only", env=KEYS).stdout
    assert jwt.decode(alone.strip(), SECRET, algorithms=["HS256"])["sub"] == "ann"


@pytest.mark.process
def test_the_browser_gets_a_page_that_joins_with_the_token(site_with_agent: Site, tmp_path: Any) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    command = ("token", "create", "--room", "r", "--identity", "ann", "--open", "https://app.test/join", "--token-only")
    done = site_with_agent.run(*command, env=NOWHERE | {"BROWSER": str(browser)})
    address = (tmp_path / "opened").read_text()
    assert address.startswith("https://app.test/join?liveKitUrl=ws%3A%2F%2F127.0.0.1%3A9&token=")
    assert address.endswith(done.stdout.strip())
    assert address in done.stderr


@pytest.mark.process
def test_common_options_may_stand_before_and_after_the_action(site_with_agent: Site) -> None:
    for words in (("--deny", "pkg-a", "create"), ("create", "--deny", "pkg-a")):
        done = site_with_agent.run("token", *words, "--new-room", "--agent", "helpdesk", env=KEYS)
        assert 'agent "helpdesk" is disabled' in done.stderr, words


def test_a_command_without_an_action_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dispatch"])
    assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_times_are_read_with_their_units() -> None:
    assert parse_duration("24h") == timedelta(hours=24) and parse_duration("90s") == timedelta(seconds=90)
    assert (parse_seconds("2.5"), parse_seconds("3s")) == (2.5, 3.0)
    for wrong in ("", "0h", "-1h", "1w", "h", "1.5h"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_duration(wrong)
    for wrong in ("", "0", "-1", "nan", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_seconds(wrong)


def test_pairs_keep_what_follows_the_first_equals_sign() -> None:
    assert parse_pairs(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    for wrong in ("a", "=b"):
        with pytest.raises(OpenRTCError, match="is not KEY=VALUE"):
            parse_pairs([wrong])
