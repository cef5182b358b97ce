"""Reads the operator's settings from `openrtc.toml`, `.env`, the environment and flags, in rising order of weight."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from openrtc.config import PROFILES, SPEEDUPS, Config, Policy, RoutingSettings, SessionDefaults, WorkerSettings
from openrtc.errors import OpenRTCError
from openrtc.setting_kinds import (
    Choice,
    IsolationTable,
    Kind,
    LimitTable,
    Names,
    Number,
    PreferTable,
    Processes,
    Some,
    Switch,
    Text,
    Url,
)
from openrtc.suggest import did_you_mean

if TYPE_CHECKING:
    from openrtc.toml_file import TomlFile

FILE_NAME = "openrtc.toml"


class Setting(NamedTuple):
    """One setting: where it stands in the file, its variable and its flag; without a key it is a whole table."""

    table: str
    key: str
    kind: Kind
    variable: str = ""
    flag: str = ""

    @property
    def option(self) -> str:
        """Name of the flag without dashes in front, as argparse stores it."""
        return (self.flag or self.key).replace("-", "_")


SETTINGS = (
    Setting("plugins", "allow", Names(distributions=True), "OPENRTC_ALLOW"),
    Setting("plugins", "deny", Names(distributions=True), "OPENRTC_DENY"),
    Setting("plugins", "prefer", PreferTable(), "OPENRTC_PREFER"),
    Setting("routing", "default", Text(), "OPENRTC_DEFAULT_AGENT", "default-agent"),
    Setting("routing", "order", Names(), "OPENRTC_ROUTING_ORDER", "routing-order"),
    Setting("routing", "prefix_agents", Names(), "OPENRTC_PREFIX_AGENTS", "prefix-agents"),
    Setting("routing", "room_metadata_agents", Names(), "OPENRTC_ROOM_METADATA_AGENTS", "room-metadata-agents"),
    Setting("defaults", "stt", Text(), "OPENRTC_STT"),
    Setting("defaults", "llm", Text(), "OPENRTC_LLM"),
    Setting("defaults", "tts", Text(), "OPENRTC_TTS"),
    Setting("defaults", "greeting", Text(), "OPENRTC_GREETING"),
    Setting("defaults", "offline", Switch(), "OPENRTC_OFFLINE"),
    Setting("worker", "url", Url(), "LIVEKIT_URL"),
    Setting("worker", "api_key", Text(secret=True), "LIVEKIT_API_KEY", "api-key"),
    Setting("worker", "api_secret", Text(secret=True), "LIVEKIT_API_SECRET", "api-secret"),
    Setting("worker", "agent_name", Text(), "LIVEKIT_AGENT_NAME", "agent-name"),
    Setting("worker", "max_sessions", Number(1, 100_000), "OPENRTC_MAX_SESSIONS", "max-sessions"),
    Setting("worker", "memory_limit", Number(0, 10_000_000), "OPENRTC_MEMORY_LIMIT", "memory-limit"),
    Setting("worker", "max_retry", Number(0, 1_000_000), "OPENRTC_MAX_RETRY", "max-retry"),
    Setting("worker", "isolation", Choice("coroutine", "thread", "process"), "OPENRTC_ISOLATION"),
    Setting("worker", "processes", Processes(), "OPENRTC_PROCESSES"),
    Setting("worker", "profile", Choice(*PROFILES), "OPENRTC_PROFILE"),
    Setting("worker", "speedups", Some(*SPEEDUPS), "OPENRTC_SPEEDUPS"),
    Setting("limits", "", LimitTable(), "OPENRTC_LIMITS", "limit"),
    Setting("isolation", "", IsolationTable(), "OPENRTC_ISOLATE", "isolate"),
    Setting("worker", "host", Text(), "OPENRTC_HOST"),
    Setting("worker", "port", Number(0, 65_535), "OPENRTC_PORT"),
    Setting("worker", "drain_timeout", Number(0, 604_800), "OPENRTC_DRAIN_TIMEOUT", "drain-timeout"),
    Setting("worker", "log_level", Choice("debug", "info", "warning", "error"), "OPENRTC_LOG_LEVEL", "log-level"),
    Setting("worker", "log_format", Choice("text", "json"), "OPENRTC_LOG_FORMAT", "log-format"),
    Setting("worker", "metrics_jsonl", Text(), "OPENRTC_METRICS_JSONL", "metrics-jsonl"),
)
TABLES = tuple(dict.fromkeys(setting.table for setting in SETTINGS))

NAME_OVERRIDE = "LIVEKIT_AGENT_NAME_OVERRIDE"
"""livekit-agents' variable by which a platform forces its own agent name on a worker; it outweighs every setting."""

Values = dict[tuple[str, str], Any]


def load_config(
    path: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    folder: Path | None = None,
) -> Config:
    """Read all settings; later ones outweigh earlier ones: file, `.env`, environment, flags.

    The agent name that a platform forces outweighs all of them.

    Args:
        path: The settings file; by default ``OPENRTC_CONFIG``, else `openrtc.toml` in ``folder`` if there is one.
        environ: The environment; by default this process's.
        overrides: Values of flags by the name that argparse stores (``max_sessions``); None and other names count not.
        folder: Where `openrtc.toml` and `.env` are looked for; by default the current folder.

    Raises:
        OpenRTCError: A named file is missing, or a setting has the wrong name, type or value.
    """
    folder = folder or Path()
    real = os.environ if environ is None else environ
    dotenv = {name: text for name, text in read_dotenv(folder).items() if not real.get(name)}
    source = _find_file(path, real, dotenv, folder)
    values: Values = {}
    if source:
        values.update(_from_file(source))
    values.update(_from_variables(dotenv, ".env: "))
    values.update(_from_variables(real, ""))
    values.update(_from_flags(overrides or {}))
    if forced := real.get(NAME_OVERRIDE) or dotenv.get(NAME_OVERRIDE):
        values["worker", "agent_name"] = forced
    return _build(values, source)


def read_dotenv(folder: Path | None = None) -> dict[str, str]:
    """Return the variables of `.env` in ``folder`` (the current one by default); none when there is no file."""
    path = (folder or Path()) / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: text for name, text in dotenv_values(path).items() if text is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise OpenRTCError(f"cannot be read: {error}", origin=str(path), fix="save it as UTF-8 text") from error


def export_dotenv(environ: MutableMapping[str, str], folder: Path | None = None) -> None:
    """Add the variables of `.env` to ``environ`` where it has none, so that model plugins find their keys."""
    for name, text in read_dotenv(folder).items():
        environ.setdefault(name, text)


def _find_file(
    path: str | Path | None, environ: Mapping[str, str], dotenv: Mapping[str, str], folder: Path
) -> Path | None:
    variable = environ.get("OPENRTC_CONFIG") or dotenv.get("OPENRTC_CONFIG")
    named = str(path) if path else variable
    if not named:
        found = folder / FILE_NAME
        return found if found.exists() else None
    if not Path(named).exists():
        raise OpenRTCError(
            f"no such file: {named}",
            origin="--config" if path else "OPENRTC_CONFIG",
            fix="name an existing settings file",
        )
    return Path(named)


def _from_file(path: Path) -> Values:
    from openrtc.toml_file import TomlFile  # costs milliseconds that only a settings file should pay

    file = TomlFile.read(path)
    return {
        (setting.table, setting.key): _checked(setting, value, file.origin(setting.table, setting.key))
        for setting, value in _settings_in(file)
    }


def _settings_in(file: TomlFile) -> Iterator[tuple[Setting, object]]:
    for table, content in file.content.items():
        if table not in TABLES:
            raise OpenRTCError(
                f'unknown table or key "{table}"',
                origin=file.origin(table),
                fix=did_you_mean(table, TABLES, f"there are [{'], ['.join(TABLES)}]"),
            )
        if not isinstance(content, dict):
            raise OpenRTCError(f'"{table}" must be a table', origin=file.origin(table), fix=f"write [{table}]")
        if whole := [setting for setting in SETTINGS if setting.table == table and not setting.key]:
            yield whole[0], content
            continue
        for key, value in content.items():
            yield _setting_in(file, table, key), value


def _setting_in(file: TomlFile, table: str, key: str) -> Setting:
    known = {setting.key: setting for setting in SETTINGS if setting.table == table}
    origin = file.origin(table, key)
    if key not in known:
        message = f'unknown key "{key}" in [{table}]'
        raise OpenRTCError(message, origin=origin, fix=did_you_mean(key, known, f"there are {', '.join(known)}"))
    if known[key].kind.secret:
        message = f'"{key}" does not belong in a file'
        raise OpenRTCError(message, origin=origin, fix=f"keep secrets in the environment: {known[key].variable}")
    return known[key]


def _from_variables(variables: Mapping[str, str], prefix: str) -> Values:
    return {
        (setting.table, setting.key): _checked(setting, setting.kind.decode(text), f"{prefix}{setting.variable}")
        for setting in SETTINGS
        if (text := variables.get(setting.variable, "").strip())
    }


def _from_flags(overrides: Mapping[str, object]) -> Values:
    return {
        (setting.table, setting.key): _checked(setting, _decoded(setting, value), f"--{setting.flag or setting.key}")
        for setting in SETTINGS
        if (value := overrides.get(setting.option)) is not None
    }


def _decoded(setting: Setting, value: object) -> object:
    """Return a flag's value as the file would give it; a flag given twice is a list of texts."""
    if isinstance(value, list | tuple):
        value = ",".join(str(part) for part in value)
    return setting.kind.decode(value) if isinstance(value, str) else value


def _checked(setting: Setting, value: object, origin: str) -> object:
    try:
        return setting.kind.check(value)
    except OpenRTCError as error:
        message = f"{setting.key or setting.table} {error.message}"
        raise OpenRTCError(message, origin=origin, fix=error.fix) from None


def _build(values: Values, source: Path | None) -> Config:
    def table(name: str) -> dict[str, Any]:
        return {key: value for (where, key), value in values.items() if where == name}

    return Config(
        policy=replace(Policy(), **table("plugins")),
        routing=replace(RoutingSettings(), **table("routing")),
        defaults=replace(SessionDefaults(), **table("defaults")),
        worker=replace(WorkerSettings(), **table("worker")),
        isolation=values.get(("isolation", ""), {}),
        limits=values.get(("limits", ""), {}),
        source=source,
    )
