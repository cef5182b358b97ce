from __future__ import annotations

from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.settings.env_files import EnvFiles, read_env_files


def read(folder: Path, text: str = "", given: dict[str, str] | None = None, *named: Path) -> EnvFiles:
    if text:
        (folder / ".env").write_text(text, encoding="utf-8")
    return read_env_files(folder, given or {}, named)


def test_without_a_file_nothing_is_given(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()  # such as a virtual environment
    assert read(tmp_path) == EnvFiles()


def test_the_local_file_outweighs_the_other_one(tmp_path: Path) -> None:
    (tmp_path / ".env.local").write_text("OPENAI_API_KEY=mine\n")
    files = read(tmp_path, "OPENAI_API_KEY=all\nDEEPGRAM_API_KEY='d'\nexport EMPTY=\nBARE\n")
    assert files.variables == {"OPENAI_API_KEY": "mine", "DEEPGRAM_API_KEY": "d", "EMPTY": ""}
    assert files.read == (tmp_path / ".env", tmp_path / ".env.local")
    assert files.origins["OPENAI_API_KEY"].name == ".env.local"
    environ = {"DEEPGRAM_API_KEY": "real"}
    files.export(environ)
    assert environ == {"OPENAI_API_KEY": "mine", "DEEPGRAM_API_KEY": "real", "EMPTY": ""}


def test_named_files_are_read_in_place_of_those_in_the_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("A=1\nB=1\n")
    second.write_text("\ufeffB=2\n", encoding="utf-8")
    files = read(tmp_path, "C=3\n", {}, first, second)
    assert files.variables == {"A": "1", "B": "2"}
    assert files.read == (first, second)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "--env-file: cannot read {}: No such file"), (b"A=\xff\n", "{}: is not UTF-8")],
)
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "named"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(OpenRTCError) as caught:
        read(tmp_path, "", {}, file)
    assert str(caught.value).startswith(words.format(file))


def test_a_file_that_is_not_utf_8_is_left_out(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    (tmp_path / ".env.local").write_text("B=1\n")
    files = read(tmp_path)
    assert files.variables == {"B": "1"}
    assert files.left_out == (f"{tmp_path}/.env: is not UTF-8 (save it as UTF-8 text)",)


def test_a_file_that_everybody_may_write_is_left_out_unless_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\n")
    file.chmod(0o606)
    files = read(tmp_path)
    assert (files.variables, files.read) == ({}, ())
    (line,) = files.left_out
    assert line == f"{file}: left out: everybody may write it (if it is right, name it: --env-file {file})"
    assert read(tmp_path, "", {}, file).variables == {"A": "1"}


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONSTARTUP", "OPENRTC_LIVEKIT_SERVER", "Path"]
)
def test_no_file_chooses_which_code_runs(tmp_path: Path, name: str) -> None:
    files = read(tmp_path, f"{name}=/somewhere\nA=1\n")
    assert files.variables == {"A": "1"}
    assert files.left_out == (
        f"{tmp_path}/.env: {name} is left out: it chooses which code runs (set it in the environment)",
    )
    assert read(tmp_path, "", {}, tmp_path / ".env").variables == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "given", "secret"),
    [
        ("LIVEKIT_URL=wss://evil.example", {"LIVEKIT_API_SECRET": "s"}, "LIVEKIT_API_SECRET"),
        ("LIVEKIT_URL=ws://localhost.evil.example:7880", {"LIVEKIT_API_SECRET": "s"}, "LIVEKIT_API_SECRET"),
        ("LIVEKIT_URL=ws://127.0.0.1@evil.example", {"LIVEKIT_API_SECRET": "s"}, "LIVEKIT_API_SECRET"),
        ("OPENAI_BASE_URL=https://evil.example/v1", {"OPENAI_API_KEY": "s"}, "OPENAI_API_KEY"),
        ("AZURE_OPENAI_ENDPOINT=evil.example", {"AZURE_OPENAI_API_KEY": "s"}, "AZURE_OPENAI_API_KEY"),
        ("AWS_ENDPOINT_URL=http://evil.example", {"AWS_SECRET_ACCESS_KEY": "s"}, "AWS_SECRET_ACCESS_KEY"),
        ("LIVEKIT_URL=wss://evil.example\nLIVEKIT_API_SECRET=t", {"LIVEKIT_API_SECRET": "s"}, "LIVEKIT_API_SECRET"),
    ],
)
def test_no_address_is_sent_a_secret_from_elsewhere(
    tmp_path: Path, text: str, given: dict[str, str], secret: str
) -> None:
    name = text.partition("=")[0]
    files = read(tmp_path, text, given)
    assert name not in files.variables
    (line,) = files.left_out
    assert line.startswith(f"{tmp_path}/.env: {name} is left out: it would be sent {secret}, which that file does not")
    assert line.endswith(f"(if it is right, name the file: --env-file {tmp_path}/.env)")
    assert name in read(tmp_path, "", given, tmp_path / ".env").variables


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("LIVEKIT_URL=wss://mine.example", {"LIVEKIT_API_KEY": "only names the secret"}),
        ("LIVEKIT_URL=wss://mine.example\nLIVEKIT_API_SECRET=s", {}),
        ("LIVEKIT_URL=wss://mine.example\nLIVEKIT_API_SECRET=s", {"LIVEKIT_API_SECRET": "s"}),
        ("LIVEKIT_URL=wss://mine.example", {"LIVEKIT_API_SECRET": ""}),
        ("LIVEKIT_URL=ws://127.0.0.1:7880", {"LIVEKIT_API_SECRET": "s"}),
        ("LIVEKIT_URL=ws://[::1]:7880", {"LIVEKIT_API_SECRET": "s"}),
        ("LIVEKIT_URL=ws://localhost", {"LIVEKIT_API_SECRET": "s"}),
        ("LIVEKIT_URL=wss://mine.example", {"OPENAI_API_KEY": "s"}),
        ("LIVEKIT_URL=wss://mine.example", {"LIVEKIT_API_SECRET": "s", "LIVEKIT_URL": "wss://real.example"}),
    ],
)
def test_other_addresses_are_used(tmp_path: Path, text: str, given: dict[str, str]) -> None:
    files = read(tmp_path, text, given)
    assert "LIVEKIT_URL" in files.variables
    assert not files.left_out


def test_secrets_do_not_show(tmp_path: Path) -> None:
    assert "12345" not in repr(read(tmp_path, "OPENAI_API_KEY=key-12345\n"))
