"""`setting`: declares everything about one setting in one place, as a field of a dataclass in `config`.

The key in `openrtc.toml` is the field's name. From the declaration also come the environment variable, the flag and its
``--help``, the checks of the value and of the names in it, and the table in `docs/settings.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from openrtc.settings.kinds import Kind

T = TypeVar("T")

_SETTING = "setting"
_FROM_KEY = "(from the key)"


class Unknown(Enum):
    """What it means when a setting names an agent or a distribution that is not there."""

    WARNING = "a warning"
    ERROR_IF_NEAR = "an error where the name looks like a slip of the pen, else a warning"
    ERROR = "an error"


class Setting(NamedTuple):
    """One setting.

    Args:
        kind: What its value may be.
        default: Its value where nobody sets it.
        description: What it does, with units, as ``--help`` and the documentation say it.
        variable: Its environment variable.
        flag: Its flag; empty where no command has one.
        section: Heading under which ``--help`` shows it.
        unknown: What a name in it means that nobody has.
        goes: The release in which it goes; empty where it stays.
        use: The path of the setting that takes its value from then on, such as ``worker.port``, if any.
        table: Its table in `openrtc.toml`.
        key: Its key there; empty where it is the whole table.
    """

    kind: Kind
    default: Any
    description: str
    variable: str
    flag: str
    section: str
    unknown: Unknown
    goes: str = ""
    use: str = ""
    table: str = ""
    key: str = ""

    @property
    def path(self) -> str:
        """Table and key, such as ``worker.port``."""
        return f"{self.table}.{self.key}" if self.key else self.table

    @property
    def label(self) -> str:
        """How messages call it: ``[worker] port``, or ``[limits]``."""
        return f"[{self.table}] {self.key}".strip()

    @property
    def deprecation(self) -> str:
        """In which release it goes, and what to use; empty where it stays."""
        table, _, key = self.use.partition(".")
        use = f": use {f'[{table}] {key}'.strip()}" if self.use else ""
        return f"goes in {self.goes}{use}" if self.goes else ""

    @property
    def option(self) -> str:
        """The flag's name as argparse stores it."""
        return self.flag.removeprefix("--").replace("-", "_")


def setting(
    default: T,
    kind: Kind,
    description: str,
    *,
    section: str,
    variable: str = _FROM_KEY,
    flag: str = _FROM_KEY,
    unknown: Unknown = Unknown.WARNING,
    goes: str = "",
    use: str = "",
) -> T:
    """Declare a setting as the default of a dataclass's field.

    Typed as its value, as `dataclasses.field` is, so that mypy compares the default with the field's annotation.

    Args:
        default: Its value where nobody sets it.
        kind: What its value may be.
        description: What it does, with units, as ``--help`` and the documentation say it.
        section: Heading under which ``--help`` shows it.
        variable: Its environment variable, where that is not ``OPENRTC_`` and the key.
        flag: Its flag, where that is not ``--`` and the key; empty where no command has one.
        unknown: What a name in it means that nobody has.
        goes: The release in which it goes, such as ``0.5``. Until then its value counts, and a worker warns of it.
        use: The path of the setting to use in its place, which takes its value where it has none of its own.
    """
    declared = Setting(kind, default, description, variable, flag, section, unknown, goes, use)
    if goes:
        declared = declared._replace(description=f"{description}; {declared.deprecation}")
    shown = not kind.secret
    # As dataclasses.field itself, this returns a Field and says that it is the value's type.
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={_SETTING: declared}, repr=shown)  # type: ignore[return-value]
    return field(default=default, metadata={_SETTING: declared}, repr=shown)


def list_settings(declaring: type, table: str = "") -> Iterator[Setting]:
    """Return the settings that a dataclass declares.

    Args:
        declaring: The dataclass.
        table: The table that its fields are keys of; without it, each is a table of its own.
    """
    for one in fields(declaring):
        if declared := one.metadata.get(_SETTING):
            key = one.name
            yield declared._replace(
                variable=f"OPENRTC_{key.upper()}" if declared.variable == _FROM_KEY else declared.variable,
                flag=f"--{key.replace('_', '-')}" if declared.flag == _FROM_KEY else declared.flag,
                table=table or key,
                key=key if table else "",
            )
