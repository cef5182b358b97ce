from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.call_limits import CallLimits
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.load import load_config
from openrtc.speedups.registry import SPEEDUPS


def load(folder: Path, toml: str = "", *, environ: dict[str, str] | None = None, **overrides: Any) -> Config:
    if toml:
        (folder / "openrtc.toml").write_text(toml, encoding="utf-8")
    return load_config(environ=environ or {}, overrides=overrides, folder=folder)


def failure(folder: Path, toml: str = "", **arguments: Any) -> str:
    with pytest.raises(OpenRTCError) as caught:
        load(folder, toml, **arguments)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_without_any_source_the_defaults_stand(tmp_path: Path) -> None:
    assert load(tmp_path) == Config()


def test_every_table_and_key_of_the_file_is_read(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [plugins]
        allow = ["My_Agent", "other.agent"]
        deny = ["Bad--One"]
        [plugins.prefer]
        support = "My.Agent"
        [routing]
        default = "support"
        order = ["job.agent", "vip", "default"]
        [defaults]
        stt = "offline:"
        llm = "openai/gpt-4.1-mini"
        tts = "offline:"
        greeting = "Hello"
        offline = true
        [worker]
        url = "wss://example.org"
        agent_name = "desk"
        max_sessions = 12
        isolation = "process"
        host = "0.0.0.0"
        port = 0
        drain_timeout = 30
        log_level = "debug"
        log_format = "json"
        """,
    )
    assert config.policy.allow == ("my-agent", "other-agent")
    assert config.policy.deny == ("bad-one",)
    assert config.policy.prefer == {"support": "my-agent"}
    assert config.routing.default == "support"
    assert config.routing.order == ("job.agent", "vip", "default")
    assert (config.defaults.stt, config.defaults.greeting, config.defaults.offline) == ("offline:", "Hello", True)
    assert (config.worker.url, config.worker.max_sessions, config.worker.port) == ("wss://example.org", 12, 0)
    assert (config.worker.isolation, config.worker.log_format) == ("process", "json")
    assert config.source == tmp_path / "openrtc.toml"


def test_flags_outweigh_environment_which_outweighs_dotenv_which_outweighs_the_file(tmp_path: Path) -> None:
    toml = "[worker]\nport = 1\nmax_sessions = 1\ndrain_timeout = 1\nagent_name = 'file'\n"
    (tmp_path / ".env").write_text("OPENRTC_PORT=2\nOPENRTC_MAX_SESSIONS=2\nOPENRTC_DRAIN_TIMEOUT=2\n")
    environ = {"OPENRTC_PORT": "3", "OPENRTC_MAX_SESSIONS": "3"}
    worker = load(tmp_path, toml, environ=environ, port="4").worker
    assert (worker.port, worker.max_sessions, worker.drain_timeout, worker.agent_name) == (4, 3, 2, "file")


def test_every_variable_is_read(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        environ={
            "OPENRTC_ALLOW": "A_b, c",
            "OPENRTC_DENY": "d",
            "OPENRTC_PREFER": "support=My_Agent, vad=openrtc-silero",
            "OPENRTC_DEFAULT_AGENT": "support",
            "OPENRTC_PREFIX_AGENTS": "support, sales",
            "OPENRTC_ROOM_METADATA_AGENTS": "sales",
            "OPENRTC_STT": "offline:",
            "OPENRTC_LLM": "offline:",
            "OPENRTC_TTS": "offline:",
            "OPENRTC_GREETING": "Hi",
            "OPENRTC_OFFLINE": "yes",
            "LIVEKIT_URL": "ws://127.0.0.1:7880",
            "LIVEKIT_API_KEY": "key",
            "LIVEKIT_API_SECRET": "secret",
            "LIVEKIT_AGENT_NAME": "desk",
            "OPENRTC_MAX_SESSIONS": "7",
            "OPENRTC_LIMITS": "support=2, sales=1",
            "OPENRTC_MEMORY_LIMIT": "900",
            "OPENRTC_MAX_RETRY": "3",
            "OPENRTC_ISOLATION": "thread",
            "OPENRTC_HOST": "::1",
            "OPENRTC_PORT": "9",
            "OPENRTC_DRAIN_TIMEOUT": "5",
            "OPENRTC_LOG_LEVEL": "ERROR",
            "OPENRTC_LOG_FORMAT": "json",
        },
    )
    assert config.policy.allow == ("a-b", "c")
    assert config.policy.prefer == {"support": "my-agent", "vad": "openrtc-silero"}
    assert config.routing.default == "support"
    assert config.routing.prefix_agents == ("support", "sales")
    assert config.routing.room_metadata_agents == ("sales",)
    assert config.defaults.offline is True
    assert (config.worker.api_key, config.worker.api_secret) == ("key", "secret")
    assert config.limits == {"support": CallLimits(sessions=2), "sales": CallLimits(sessions=1)}
    assert (config.worker.memory_limit, config.worker.max_retry) == (900, 3)
    assert (config.worker.log_level, config.worker.isolation) == ("error", "thread")


def test_a_flag_for_sessions_leaves_how_long_calls_may_be(tmp_path: Path) -> None:
    toml = "[limits]\nsupport = { sessions = 1, minutes = 30 }\nsales = { silent_seconds = 9 }\nkiosk = 3\n"
    (tmp_path / "openrtc.toml").write_text(toml)
    config = load_config(folder=tmp_path, environ={"OPENRTC_LIMITS": "kiosk=4"}, overrides={"limit": ["support=5"]})
    assert config.limits == {
        "support": CallLimits(sessions=5, minutes=30),
        "sales": CallLimits(silent_seconds=9),
    }


def test_the_agent_name_that_a_platform_forces_outweighs_even_a_flag(tmp_path: Path) -> None:
    environ = {"LIVEKIT_AGENT_NAME": "desk", "LIVEKIT_AGENT_NAME_OVERRIDE": "sim-1"}
    assert load_config(environ=environ, overrides={"agent_name": "front"}, folder=tmp_path).worker.agent_name == "sim-1"


def test_an_empty_variable_counts_as_not_set_and_lets_dotenv_speak(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LIVEKIT_URL=ws://dotenv:1\n")
    assert load(tmp_path, environ={"LIVEKIT_URL": "", "OPENRTC_PORT": " "}).worker.url == "ws://dotenv:1"


def test_a_flag_given_twice_adds_up(tmp_path: Path) -> None:
    config = load(tmp_path, allow=["a,b", "C"], prefer=["x=one", "y=two"])
    assert config.policy.allow == ("a", "b", "c")
    assert config.policy.prefer == {"x": "one", "y": "two"}


def test_flags_that_are_none_or_unknown_are_ignored(tmp_path: Path) -> None:
    assert load(tmp_path, port=None, room="r", json=True) == Config()


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        ("[plugin]\n", 1, ['unknown table or key "plugin"', 'did you mean "plugins"?']),
        ("\n[worker]\nmax_session = 3\n", 3, ['unknown key "max_session" in [worker]', 'did you mean "max_sessions"?']),
        ("[worker]\nzzz = 3\n", 2, ['unknown key "zzz"', "there are url"]),
        ("worker = 3\n", 1, ["must be a table", "[worker]"]),
        ("[worker]\nport = 'many'\n", 2, ["port must be a whole number from 0 to 65535, not 'many'"]),
        ("[worker]\nport = '8081'\n", 2, ["port must be a whole number"]),
        ("[worker]\nmax_sessions = true\n", 2, ["max_sessions must be a whole number"]),
        ("[worker]\nmax_sessions = 0\n", 2, ["from 1"]),
        ("[worker]\nport = 99999\n", 2, ["65535"]),
        ("[worker]\nisolation = 'threads'\n", 2, ["one of coroutine, thread, process", 'did you mean "thread"?']),
        ("[worker]\nurl = 'localhost:7880'\n", 2, ["ws://127.0.0.1:7880"]),
        ("[worker]\napi_secret = 's3cret'\n", 2, ["keep secrets in the environment: LIVEKIT_API_SECRET"]),
        ("[worker]\napi_key = 'k'\n", 2, ["LIVEKIT_API_KEY"]),
        ("[defaults]\noffline = 'yes'\n", 2, ["offline must be true or false"]),
        ("[defaults]\nstt = 3\n", 2, ["stt must be a string"]),
        ("[plugins]\nallow = 'my-agent'\n", 2, ["allow must be a list of names"]),
        ("[plugins]\ndeny = ['a==1']\n", 2, ['deny cannot hold "a==1"', "without version"]),
        ("[plugins]\nprefer = ['a']\n", 2, ["prefer must be a table"]),
        ("[plugins.prefer]\nsupport = 3\n", 1, ['prefer of "support" must be the name of a distribution, not 3']),
        ("plugins.deny = 3\n", 1, ["deny must be a list of names"]),
        ("[routing]\norder = [1]\n", 2, ["order must be a list of names"]),
        ("[worker\n", 1, ["not valid TOML"]),
        ("[worker]\nport =\n", 2, ["not valid TOML"]),
    ],
)
def test_a_wrong_setting_in_the_file_is_one_line_with_its_place(
    tmp_path: Path, toml: str, line: int, words: list[str]
) -> None:
    told = failure(tmp_path, toml)
    assert told.startswith(f"{tmp_path / 'openrtc.toml'}:{line}: ")
    for word in words:
        assert word in told


def test_the_secret_itself_is_not_repeated(tmp_path: Path) -> None:
    assert "s3cret" not in failure(tmp_path, "[worker]\napi_secret = 's3cret'\n")


def test_a_file_that_is_not_utf8_is_one_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_bytes(b"[defaults]\ngreeting = '\xe9'\n")
    assert f"{tmp_path / 'openrtc.toml'}:2: is not UTF-8" in failure(tmp_path)


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").mkdir()
    assert "cannot be read" in failure(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_bytes(b"\xef\xbb\xbf[worker]\nport = 5\n")
    assert load(tmp_path).worker.port == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"environ": {"OPENRTC_PORT": "x"}}, "OPENRTC_PORT: port must be a whole number"),
        ({"environ": {"OPENRTC_OFFLINE": "maybe"}}, "OPENRTC_OFFLINE: offline must be true or false"),
        ({"environ": {"OPENRTC_PREFER": "support"}}, "OPENRTC_PREFER: prefer must be a table"),
        ({"environ": {"LIVEKIT_URL": "nowhere"}}, "LIVEKIT_URL: url must be the address"),
        ({"isolation": "fork"}, "--isolation: isolation must be one of"),
        ({"max_sessions": "-3"}, "--max-sessions: max_sessions must be"),
        ({"allow": ["a b"]}, '--allow: allow cannot hold "a b"'),
    ],
)
def test_a_wrong_variable_or_flag_is_named(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    assert failure(tmp_path, **arguments).startswith(words)


def test_a_wrong_value_in_dotenv_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENRTC_PORT=x\n")
    assert failure(tmp_path).startswith(".env: OPENRTC_PORT: port must be")


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "other.toml"
    with pytest.raises(OpenRTCError, match=r"--config: no such file"):
        load_config(missing, environ={}, folder=tmp_path)
    with pytest.raises(OpenRTCError, match=r"OPENRTC_CONFIG: no such file"):
        load_config(environ={"OPENRTC_CONFIG": str(missing)}, folder=tmp_path)


def test_a_settings_file_that_is_there_and_cannot_be_read_or_trusted_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "openrtc.toml"
    file.symlink_to("nowhere")
    assert failure(tmp_path).startswith(f"{file}: cannot be read: No such file")
    file.unlink()
    file.mkdir()
    assert "cannot be read: Is a directory" in failure(tmp_path)
    file.rmdir()
    file.write_text("[worker]\nport = 1\n")
    file.chmod(0o666)
    assert failure(tmp_path) == (
        f"{file}: it may say what runs, but everybody may write it (if it is right, name it: --config {file})"
    )
    for named in ({"path": file, "environ": {}}, {"environ": {"OPENRTC_CONFIG": str(file)}}):
        assert load_config(**named, folder=tmp_path).worker.port == 1
    (tmp_path / ".env").write_text(f"OPENRTC_CONFIG={file}\n")
    assert "everybody may write it" in failure(tmp_path)


def test_a_folder_that_cannot_be_read_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)  # root, who may run this, can read every folder
    config = load(tmp_path, environ={"OPENRTC_PORT": "7"})
    assert config.worker.port == 7
    line = "the working folder cannot be read (Permission denied): going on without openrtc.toml and .env"
    assert config.env_files.left_out == (line,)


def test_a_named_file_is_read_in_place_of_the_one_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text("[worker]\nport = 1\n")
    (tmp_path / "other.toml").write_text("[worker]\nport = 2\n")
    named = {"OPENRTC_CONFIG": str(tmp_path / "other.toml")}
    assert load_config(environ=named, folder=tmp_path).worker.port == 2
    assert load_config(tmp_path / "openrtc.toml", environ=named, folder=tmp_path).worker.port == 1


def test_secrets_do_not_show_when_the_settings_are_printed(tmp_path: Path) -> None:
    environ = {"LIVEKIT_API_KEY": "key-12345", "LIVEKIT_API_SECRET": "secret-12345"}
    assert "12345" not in repr(load(tmp_path, environ=environ))


def test_the_isolation_of_single_agents_is_a_table_a_variable_and_a_flag(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text('[isolation]\nsupport = "Process"\n', encoding="utf-8")
    assert load_config(folder=tmp_path, environ={}).isolation == {"support": "process"}
    environ = {"OPENRTC_ISOLATE": "sales=thread, vip=process"}
    assert load_config(folder=tmp_path, environ=environ).isolation == {"sales": "thread", "vip": "process"}
    flags = {"isolate": ["sales=coroutine", "vip=thread"]}
    assert load_config(folder=tmp_path, environ=environ, overrides=flags).isolation == {
        "sales": "coroutine",
        "vip": "thread",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[isolation]\nsupport = "proces"\n', ['isolation of "support" must be one of', 'did you mean "process"']),
        ("isolation = 3\n", ['"isolation" must be a table']),
    ],
)
def test_a_wrong_isolation_is_told_with_its_line(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "openrtc.toml").write_text(text, encoding="utf-8")
    with pytest.raises(OpenRTCError) as caught:
        load_config(folder=tmp_path, environ={})
    assert "openrtc.toml:" in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_number_of_processes_is_a_number_or_one_for_each_core(tmp_path: Path) -> None:
    assert load_config(folder=tmp_path, environ={}).worker.processes == 0
    assert load_config(folder=tmp_path, environ={"OPENRTC_PROCESSES": "3"}).worker.processes == 3
    assert load_config(folder=tmp_path, environ={}, overrides={"processes": "auto"}).worker.processes >= 1
    with pytest.raises(OpenRTCError, match="--processes: processes must be a whole number from 0 to 256 or auto"):
        load_config(folder=tmp_path, environ={}, overrides={"processes": "many"})


@pytest.mark.parametrize(
    ("toml", "environ", "flag", "expected"),
    [
        ("", {}, None, tuple(SPEEDUPS)),
        ('speedups = ["vad", "uvloop", "vad"]', {}, None, ("vad", "uvloop")),
        ('speedups = "none"', {}, None, ()),
        ("speedups = []", {}, None, ()),
        ('speedups = "none"', {"OPENRTC_SPEEDUPS": "all"}, None, tuple(SPEEDUPS)),
        ("", {"OPENRTC_SPEEDUPS": "events, VAD"}, "none", ()),
        ("", {"OPENRTC_SPEEDUPS": "events, VAD"}, None, ("events", "vad")),
    ],
)
def test_speedups_are_some_of_the_known_ones(
    tmp_path: Path, toml: str, environ: dict[str, str], flag: str | None, expected: tuple[str, ...]
) -> None:
    (tmp_path / "openrtc.toml").write_text(f"[worker]\n{toml}\n")
    config = load_config(folder=tmp_path, environ=environ, overrides={"speedups": flag})
    assert config.worker.speedups == expected


def test_a_wrong_speedup_or_profile_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        OpenRTCError, match=r"OPENRTC_SPEEDUPS: speedups must be one of vad, native, events.*did you mean"
    ):
        load_config(folder=tmp_path, environ={"OPENRTC_SPEEDUPS": "evnts"})
    (tmp_path / "openrtc.toml").write_text("[worker]\nspeedups = 3\n")
    with pytest.raises(OpenRTCError, match="speedups must be a list with some of vad, native, events"):
        load_config(folder=tmp_path, environ={})
    with pytest.raises(OpenRTCError, match="--profile: profile must be one of standard, lean"):
        load_config(environ={}, overrides={"profile": "thin"}, folder=tmp_path / "none")


@pytest.mark.parametrize(
    ("variable", "table", "key", "line"),
    [
        ("OPENRTC_ALLOW", "policy", "allow", 'plugins.allow = ["x"]'),
        ("OPENRTC_DENY", "policy", "deny", 'plugins.deny = ["x"]'),
        ("OPENRTC_REQUIRE", "policy", "require", 'plugins.require = ["x>=1"]'),
        ("OPENRTC_IGNORE_REQUIREMENTS", "policy", "ignore_requirements", 'plugins.ignore_requirements = ["x"]'),
        ("OPENRTC_PREFIX_AGENTS", "routing", "prefix_agents", 'routing.prefix_agents = ["x"]'),
        ("OPENRTC_ROOM_METADATA_AGENTS", "routing", "room_metadata_agents", 'routing.room_metadata_agents = ["x"]'),
        ("OPENRTC_SPEEDUPS", "worker", "speedups", 'worker.speedups = ["vad"]'),
    ],
)
@pytest.mark.parametrize("source", ["toml", "env", "variable", "spaces", "flag"])
def test_an_empty_list_is_none_of_them_in_every_source(
    tmp_path: Path, variable: str, table: str, key: str, line: str, source: str
) -> None:
    (tmp_path / "openrtc.toml").write_text(f"{line.partition(' = ')[0]} = []\n" if source == "toml" else line)
    if source == "env":
        (tmp_path / ".env").write_text(f"{variable}=\n")
    elif source != "toml":
        (tmp_path / ".env").write_text(f"{variable}=vad\n")
    environ = {variable: "" if source == "variable" else " , "} if source in ("variable", "spaces") else {}
    overrides = {key: "" if key == "speedups" else [""]} if source == "flag" else {}
    config = load_config(environ=environ, overrides=overrides, folder=tmp_path)
    assert getattr(getattr(config, table), key) == ()


def test_an_empty_order_asks_no_rule(tmp_path: Path) -> None:  # it has no flag
    assert load_config(environ={"OPENRTC_ROUTING_ORDER": ""}, folder=tmp_path).routing.order == ()


def test_every_list_says_that_it_is_one() -> None:
    assert [one.path for one in SETTINGS if one.kind.values.startswith("list")] == [
        one.path for one in SETTINGS if one.kind.is_list and one.key != "speedups"
    ]


def test_an_empty_variable_for_a_table_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text('[isolation]\nsupport = "process"\n')
    assert load_config(environ={"OPENRTC_ISOLATE": ""}, folder=tmp_path).isolation == {"support": "process"}
