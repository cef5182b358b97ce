"""`.env` and `.env.local`, or the files of ``--env-file``: which are read, and which of their variables count.

A `.env` comes along with whatever folder a command is run in, so that one that nobody has named does less than the
environment: it names no program, and no server that would be sent a secret from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openrtc.child_environment import looks_secret
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (".env", ".env.local")
"""What is read where no file is named; the later outweighs the one before, as in LiveKit's starters."""

ENV_FILE_FLAG = "--env-file"

_REFUSED = r"(LD_|DYLD_|PYTHON).*|PATH|SHELL|COMSPEC|EDITOR|VISUAL|PAGER|BROWSER|OPENRTC_LIVEKIT_SERVER"
"""Variables that choose which code is run: the loader's, Python's, and those that name a program."""
_ADDRESS = r".*_(URL|URI|ENDPOINT|HOST|BASE)"
_LOOPBACK = r"localhost|127(\.\d{1,3}){3}|::1"
_NO_SECRETS = frozenset({"LIVEKIT_API_KEY"})
"""Only names the secret; the server sees it in every token."""


@dataclass(frozen=True, slots=True)
class EnvFiles:
    """What the `.env` files give.

    Args:
        variables: The variables that count, by name.
        origins: The file in which each stands.
        read: The files that were read, in that order.
        left_out: What was not used, and why: a line for each.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    origins: Mapping[str, Path] = field(default_factory=dict)
    read: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()

    def export(self, environ: MutableMapping[str, str]) -> None:
        """Add the variables to ``environ`` where it has none, so that model plugins find their keys."""
        for name, text in self.variables.items():
            environ.setdefault(name, text)


def read_env_files(folder: Path, given: Mapping[str, str], named: Sequence[str | Path] = ()) -> EnvFiles:
    """Read the files that are named; where none is, those of `NAMES` that ``folder`` has.

    Args:
        folder: The working folder.
        given: The environment, and what flags give in place of variables: it outweighs the files.
        named: The files of ``--env-file``; the later outweighs the one before.

    Raises:
        OpenRTCError: A file that is named cannot be read. Others are left out, and that is told.
    """
    from pathlib import Path

    found: dict[str, str] = {}
    origins: dict[str, Path] = {}
    read: list[Path] = []
    left_out: list[str] = []
    for path in [Path(name) for name in named] or [folder / name for name in NAMES]:
        try:
            variables = _read_named(path) if named else _read_unnamed(path)
        except OpenRTCError as error:
            if named:
                raise
            left_out.append(str(error))
            continue
        if variables is not None:
            read.append(path)
            found |= variables
            origins |= dict.fromkeys(variables, path)
    # A secret that the file holds as well goes nowhere where the file could not send it.
    elsewhere = {name for name, text in given.items() if text and found.get(name) != text}
    for name, text in found.items():
        try:
            _require_harmless(name, origins[name])
            if not (named or given.get(name)):
                _require_no_secret(name, text, elsewhere, origins[name])
        except OpenRTCError as error:
            left_out.append(str(error))
            del origins[name]
    return EnvFiles({name: found[name] for name in origins}, origins, tuple(read), tuple(left_out))


def _read_named(path: Path) -> dict[str, str]:
    try:
        return _parse(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OpenRTCError(
            f"cannot read {path}: {reason}", origin=ENV_FILE_FLAG, fix="name a file that can be read"
        ) from None


def _read_unnamed(path: Path) -> dict[str, str] | None:
    """Return the variables of a file that may not be there, which is None."""
    from openrtc.posix import why_not_trusted

    try:
        if not path.is_file():  # a virtual environment may have that name as well
            return None
        if why := why_not_trusted(path.stat()):
            raise OpenRTCError(
                f"left out: {why}", origin=str(path), fix=f"if it is right, name it: {ENV_FILE_FLAG} {path}"
            )
        return _parse(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OpenRTCError(f"left out: {reason}", origin=str(path), fix="make it readable") from None


def _parse(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values  # costs milliseconds that only a file should pay

    try:
        with path.open(encoding="utf-8-sig") as file:
            return {name: text for name, text in dotenv_values(stream=file).items() if text is not None}
    except UnicodeDecodeError:
        raise OpenRTCError("is not UTF-8", origin=str(path), fix="save it as UTF-8 text") from None


def _require_harmless(name: str, path: Path) -> None:
    if re.fullmatch(_REFUSED, name.upper()):
        message = f"{name} is left out: it chooses which code runs"
        raise OpenRTCError(message, origin=str(path), fix="set it in the environment")


def _require_no_secret(name: str, text: str, elsewhere: Iterable[str], path: Path) -> None:
    """Raise where an address would be sent a secret that stands elsewhere."""
    if not ("://" in text or re.fullmatch(_ADDRESS, name)) or _is_loopback(text):
        return
    service = name.partition("_")[0] + "_"
    found = (one for one in sorted(elsewhere) if one.startswith(service) and looks_secret(one))
    if secret := next((one for one in found if one not in _NO_SECRETS), None):
        raise OpenRTCError(
            f"{name} is left out: it would be sent {secret}, which that file does not hold",
            origin=str(path),
            fix=f"if it is right, name the file: {ENV_FILE_FLAG} {path}",
        )


def _is_loopback(text: str) -> bool:
    from urllib.parse import urlsplit  # costs milliseconds that only such a variable should pay

    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return False
    return bool(re.fullmatch(_LOOPBACK, host))
