"""Writes docs/settings.md from the declarations of the settings: `python docs/generate_settings.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openrtc.settings.config import SETTINGS, TABLES
from openrtc.settings.kinds import Some
from openrtc.settings.setting import Setting
from openrtc.settings.variables import OF_PROCESSES, VARIABLES

PAGE = Path(__file__).with_name("settings.md")
HEAD = """# Settings

Each setting can be given in `openrtc.toml`, in `.env`, in `.env.local`, in the environment or in a flag; each of these outweighs the ones before it.
The files are looked for in the current folder; `--config FILE` or `OPENRTC_CONFIG` names another settings file, `--env-file FILE` (as often as you like) files of variables to read in place of `.env` and `.env.local`.
`start` and `dev` tell which of them they have read.
The key and secret of the LiveKit server do not belong in the file, which is refused with them.

A file that nobody has named may come with whatever folder the command is run in, so that it must belong to you or to root and not be writable by everybody: else `openrtc.toml` ends the command, since it says what may run, and `.env` is left out, with one line.
No `.env` file sets what chooses the code that runs (`PATH`, `LD_*`, `PYTHON*`, names of programs); and one that nobody has named gives no address that would be sent a secret from elsewhere (`LIVEKIT_URL` where `LIVEKIT_API_SECRET` stands in the environment), unless it is on this machine.

In a variable or a flag, a list is `one,two` and a table `name=value,name=value`; flags of these may also be given several times.
An empty list is none of them, in each place: `OPENRTC_ALLOW=` allows nothing, as `--allow ""` and `allow = []` do.
Of everything else, a variable that is set and empty counts as not set.
Every command has the flags of `[plugins]`; `start` has all flags, `dev` all but `--processes`, and the others those that they use.
A wrong setting ends the command with exit code 2 and one line that says where it is.
A name that no agent or distribution has is a warning; in `[routing] default`, and in `[isolation]` where it looks like a slip of the pen, it is an error.
`openrtc start --strict` accepts no warning.

The variables that are no settings are [below](#variables-that-are-no-settings).

This page is generated from `openrtc.settings.config` and `openrtc.settings.variables`.
"""
COLUMNS = "| key | variable | flag | value | default | what it is |\n|---|---|---|---|---|---|"


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *map(_section, TABLES), *_list_variables()])


def _list_variables() -> Iterator[str]:
    yield "## Variables that are no settings\n"
    yield "| variable | what it is |\n|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in VARIABLES.items())
    yield "\nModel plugins read keys of their own, such as `OPENAI_API_KEY`; `.env` and `.env.local` hold those, too."
    yield "\nThese are set by OpenRTC for its own processes, or by a shell:\n"
    yield "| variable | what it does |\n|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in OF_PROCESSES.items())
    yield ""


def _section(table: str) -> str:
    rows = [_row(setting) for setting in SETTINGS if setting.table == table]
    return "\n".join([f"## `[{table}]`\n", COLUMNS, *rows, ""])


def _row(setting: Setting) -> str:
    key = "–" if setting.kind.secret else f"`{setting.key}`" if setting.key else "(agents)"
    flag = f"`{setting.flag}`" if setting.flag else ""
    cells = (key, f"`{setting.variable}`", flag, setting.kind.values, _default(setting), setting.description)
    return "| " + " | ".join(cells) + " |"


def _default(setting: Setting) -> str:
    if isinstance(setting.kind, Some) and setting.default == setting.kind.words:
        return "all"
    if setting.default in ("", None, (), {}):
        return ""
    return f"`{str(setting.default).lower() if isinstance(setting.default, bool) else setting.default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
