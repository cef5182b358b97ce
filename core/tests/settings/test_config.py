from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from openrtc.cli.setting_options import add_common_options, add_worker_options
from openrtc.settings.config import SETTINGS, TABLES, Config
from openrtc.settings.load import load_config

FROM_CODE = {"defaults.vad", "defaults.turn_detection", "observe.terminal"}


def test_every_field_is_a_setting_whose_path_variable_and_flag_are_its_own() -> None:
    declared = [setting.path for setting in SETTINGS]
    fields_of_tables = {
        f"{table}.{one.name}"
        for table, name in TABLES.items()
        if table not in declared
        for one in fields(getattr(Config(), name))
    }
    assert set(declared) == fields_of_tables - FROM_CODE | {"limits", "isolation"}
    for names in (
        declared,
        [setting.variable for setting in SETTINGS],
        [setting.flag for setting in SETTINGS if setting.flag],
    ):
        assert len(names) == len(set(names))


def test_the_defaults_are_the_values_of_an_empty_configuration_and_are_allowed() -> None:
    for setting in SETTINGS:
        assert setting.default == Config().value_of(setting), setting.path
        if setting.default not in ("", None, (), {}):
            value = list(setting.default) if isinstance(setting.default, tuple) else setting.default
            assert setting.kind.check(value) == setting.default, setting.path


def test_every_flag_is_explained_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    parser = argparse.ArgumentParser(prog="x")
    add_worker_options(parser)
    add_common_options(parser)
    text = " ".join(parser.format_help().split())
    for setting in (setting for setting in SETTINGS if setting.flag):
        for words in (f" {setting.flag} ", setting.description, setting.variable):
            assert words in text, setting.path


def test_where_a_value_stands_is_kept_with_it(tmp_path: Path) -> None:
    (tmp_path / "openrtc.toml").write_text("[worker]\nport = 1\nhost = 'a'\n[limits]\nsales = 2\n", encoding="utf-8")
    (tmp_path / ".env").write_text("OPENRTC_MAX_RETRY=3\n", encoding="utf-8")
    environ = {"OPENRTC_PORT": "2", "LIVEKIT_AGENT_NAME_OVERRIDE": "sim"}
    config = load_config(folder=tmp_path, environ=environ, overrides={"drain_timeout": "5", "deny": ["x"]})
    file = tmp_path / "openrtc.toml"
    assert config.origins == {
        "worker.port": "OPENRTC_PORT",
        "worker.host": f"{file}:3",
        "worker.max_retry": ".env: OPENRTC_MAX_RETRY",
        "worker.drain_timeout": "--drain-timeout",
        "worker.agent_name": "LIVEKIT_AGENT_NAME_OVERRIDE",
        "plugins.deny": "--deny",
        "limits": f"{file}:4",
        "limits.sales": f"{file}:5",
    }


def test_a_commands_own_default_gives_way_to_whatever_the_operator_has_set(tmp_path: Path) -> None:
    def port(**overrides: object) -> int:
        config = load_config(folder=tmp_path, environ={}, overrides=overrides)
        return config.with_worker_defaults(port=0).worker.port

    assert (port(), port(port="9"), port(port="8081")) == (0, 9, 8081)
