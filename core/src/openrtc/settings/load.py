"""Reads the settings from `openrtc.toml`, `.env`, the environment and flags, each outweighing the one before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from openrtc.errors import OpenRTCError
from openrtc.posix import why_not_trusted
from openrtc.settings.config import (
    SETTINGS,
    TABLES,
    Config,
    ObserveSettings,
    Policy,
    RoutingSettings,
    SessionDefaults,
    WorkerSettings,
)
from openrtc.settings.env_files import EnvFiles, read_env_files
from openrtc.settings.setting import Setting
from openrtc.suggest import did_you_mean

if TYPE_CHECKING:
    from openrtc.settings.toml_file import TomlFile

FILE_NAME = "openrtc.toml"

NAME_OVERRIDE = "LIVEKIT_AGENT_NAME_OVERRIDE"
"""livekit-agents' variable by which a platform forces its own agent name on a worker; it outweighs every setting."""


class Given(NamedTuple):
    """What one source gives for a setting.

    Args:
        setting: The setting.
        value: Its value, as a settings file would hold it.
        origin: Where it stands.
        places: Where the keys of a table stand, if that is known.
    """

    setting: Setting
    value: object
    origin: str
    places: Mapping[str, str] = MappingProxyType({})

    def check(self) -> Any:
        """Return the value in its final form; raises `OpenRTCError` when it is wrong."""
        try:
            return self.setting.kind.check(self.value)
        except OpenRTCError as error:
            message = f"{self.setting.key or self.setting.table} {error.message}"
            raise OpenRTCError(message, origin=self.origin, fix=error.fix) from None


Found = dict[str, tuple[Any, Given]]
"""By the setting's path, its value and who gives it."""


def _raise(error: OpenRTCError) -> NoReturn:
    raise error


def load_config(
    path: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    folder: Path | None = None,
    env_files: Sequence[str | Path] = (),
    refuse: Callable[[OpenRTCError], object] = _raise,
) -> Config:
    """Read all settings; later ones outweigh earlier ones: file, `.env`, environment, flags.

    The agent name that a platform forces outweighs all of them.

    Args:
        path: The settings file; by default ``OPENRTC_CONFIG``, else `openrtc.toml` in ``folder`` if there is one.
        environ: The environment; by default this process's.
        overrides: Values of flags by argparse's names (``max_sessions``); None and unknown names are ignored.
        folder: Where `openrtc.toml` and `.env` are looked for; by default the current folder.
        env_files: The files to read in place of `.env` and `.env.local`.
        refuse: Takes what is wrong, and raises it by default; where it returns, that is left out.

    Raises:
        OpenRTCError: A named file is missing, a settings file cannot be read or trusted, or a setting has the wrong
            name, type or value.
    """
    folder = folder or Path()
    real = os.environ if environ is None else environ
    by_flag = list(_in_flags(overrides or {}))
    given = {**real, **{one.setting.variable: str(one.value) for one in by_flag if one.setting.variable}}
    if (why := _why_unreadable(folder)) and not env_files:
        files = EnvFiles(left_out=(f"{why}: going on without {FILE_NAME} and .env",))
    else:
        files = _read_env_files(folder, given, env_files, refuse)
    # A variable that is set but empty counts as not set, so that .env speaks, unless it is an empty list.
    lists = {one.variable for one in SETTINGS if one.kind.is_list}
    dotenv = {name: text for name, text in files.variables.items() if not (real.get(name) or name in lists & set(real))}
    try:
        source = _find_named(path, real) or (None if why else _find_unnamed(folder, dotenv.get("OPENRTC_CONFIG")))
    except OpenRTCError as error:
        refuse(error)
        source = None
    found = chain(
        _in_file(source, refuse) if source else (),
        _in_variables(dotenv, files.origins),
        _in_variables(real, {}),
        by_flag,
        _in_platform(real, dotenv),
    )
    config = _build(_weigh(found, refuse), source)
    return replace(config, env_files=files)


def _read_env_files(
    folder: Path, given: Mapping[str, str], named: Sequence[str | Path], refuse: Callable[[OpenRTCError], object]
) -> EnvFiles:
    try:
        return read_env_files(folder, given, named)
    except OpenRTCError as error:
        refuse(error)
        return EnvFiles()


def _weigh(found: Iterable[Given], refuse: Callable[[OpenRTCError], object]) -> Found:
    """Return the value that holds of each setting, of sources that outweigh those before them."""
    weighed: Found = {}
    for given in found:
        path = given.setting.path
        try:
            value = given.check()
        except OpenRTCError as error:
            refuse(error)
            continue
        if path in weighed:
            value = given.setting.kind.outweigh(value, weighed[path][0])
        weighed[path] = (value, given)
    return weighed


def _follow_deprecated(found: Found) -> Iterator[str]:
    """Let a setting that goes give its value to the one that is used in its place; yield a line for each."""
    for value, given in list(found.values()):
        if given.setting.goes:
            yield f"{given.origin}: {given.setting.label} {given.setting.deprecation}"
            if given.setting.use:
                successor = next(one for one in SETTINGS if one.path == given.setting.use)
                found.setdefault(successor.path, (value, given._replace(setting=successor)))


def _why_unreadable(folder: Path) -> str | None:
    """Return why it cannot be known what stands in a folder, or None when it can."""
    try:
        (folder / FILE_NAME).lstat()
    except PermissionError as error:
        return f"the working folder cannot be read ({error.strerror})"
    except OSError:
        return None
    return None


def _find_named(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = str(path or environ.get("OPENRTC_CONFIG") or "")
    if named and not Path(named).exists():
        raise OpenRTCError(
            f"no such file: {named}",
            origin="--config" if path else "OPENRTC_CONFIG",
            fix="name an existing settings file",
        )
    return Path(named) if named else None


def _find_unnamed(folder: Path, by_dotenv: str | None) -> Path | None:
    """Return the settings file that the folder has; raises where it cannot be trusted, for it says what may run."""
    found = folder / (by_dotenv or FILE_NAME)
    try:
        why = why_not_trusted(found.stat())
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not (by_dotenv or found.is_symlink()):
            return None
        reason = f"cannot be read: {error.strerror}"
        raise OpenRTCError(reason, origin=str(found), fix="make it readable, or remove it") from None
    if why:
        message = f"it may say what runs, but {why}"
        raise OpenRTCError(message, origin=str(found), fix=f"if it is right, name it: --config {found}")
    return found


def _in_file(path: Path, refuse: Callable[[OpenRTCError], object]) -> Iterator[Given]:
    from openrtc.settings.toml_file import TomlFile  # costs milliseconds that only a settings file should pay

    try:
        file = TomlFile.read(path)
    except OpenRTCError as error:
        refuse(error)
        return
    for table in file.content:
        try:
            known = _find_settings(file, table)
        except OpenRTCError as error:
            refuse(error)
            continue
        content = file.content[table]
        if "" in known:
            yield _given_in(file, known[""], content)
            continue
        for key, value in content.items():
            try:
                yield _given_in(file, _find_setting(file, table, key, known), value)
            except OpenRTCError as error:
                refuse(error)


def _find_settings(file: TomlFile, table: str) -> Mapping[str, Setting]:
    if table not in TABLES:
        raise OpenRTCError(
            f'unknown table or key "{table}"',
            origin=file.origin(table),
            fix=did_you_mean(table, TABLES, f"there are [{'], ['.join(TABLES)}]"),
        )
    if not isinstance(file.content[table], dict):
        raise OpenRTCError(f'"{table}" must be a table', origin=file.origin(table), fix=f"write [{table}]")
    return {setting.key: setting for setting in SETTINGS if setting.table == table}


def _given_in(file: TomlFile, setting: Setting, value: object) -> Given:
    where = setting.path.split(".")
    places = {key: file.origin(*where, key) for key in value} if isinstance(value, dict) else {}
    return Given(setting, value, file.origin(*where), places)


def _find_setting(file: TomlFile, table: str, key: str, known: Mapping[str, Setting]) -> Setting:
    origin = file.origin(table, key)
    if key not in known:
        message = f'unknown key "{key}" in [{table}]'
        raise OpenRTCError(message, origin=origin, fix=did_you_mean(key, known, f"there are {', '.join(known)}"))
    if known[key].kind.secret:
        message = f'"{key}" does not belong in a file'
        raise OpenRTCError(message, origin=origin, fix=f"keep secrets in the environment: {known[key].variable}")
    return known[key]


def _in_variables(variables: Mapping[str, str], files: Mapping[str, Path]) -> Iterator[Given]:
    for setting in SETTINGS:
        text = variables.get(setting.variable, "").strip()
        if text or (setting.kind.is_list and setting.variable in variables):
            file = files.get(setting.variable)
            yield Given(
                setting, setting.kind.decode(text), f"{file.name}: {setting.variable}" if file else setting.variable
            )


def _in_flags(overrides: Mapping[str, object]) -> Iterator[Given]:
    for setting in SETTINGS:
        if setting.flag and (value := overrides.get(setting.option)) is not None:
            # A flag that may be given several times comes as a list of strings.
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield Given(setting, setting.kind.decode(text) if isinstance(text, str) else text, setting.flag)


def _in_platform(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Iterator[Given]:
    if forced := environ.get(NAME_OVERRIDE) or dotenv.get(NAME_OVERRIDE):
        yield Given(next(one for one in SETTINGS if one.path == "worker.agent_name"), forced, NAME_OVERRIDE)


def _build(found: Found, source: Path | None) -> Config:
    deprecations = tuple(_follow_deprecated(found))

    def table(name: str) -> dict[str, Any]:
        return {given.setting.key: value for value, given in found.values() if given.setting.table == name}

    origins: dict[str, str] = {}
    for path, (_, given) in found.items():
        origins[path] = given.origin
        origins |= {f"{path}.{key}": place for key, place in given.places.items()}
    return Config(
        worker=WorkerSettings(**table("worker")),
        routing=RoutingSettings(**table("routing")),
        defaults=SessionDefaults(**table("defaults")),
        observe=ObserveSettings(**table("observe")),
        policy=Policy(**table("plugins")),
        limits=table("limits").get("", {}),
        isolation=table("isolation").get("", {}),
        source=source,
        origins=origins,
        deprecations=deprecations,
    )
