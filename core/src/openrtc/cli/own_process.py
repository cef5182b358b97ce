"""What the command's own process must not show, and must be able to print."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence

_SECRET_FLAG = "--api-secret"
_SECRET_VARIABLE = "LIVEKIT_API_SECRET"


def hide_secret() -> None:
    """Begin anew where the command line holds a secret, which all users of this machine can read there.

    The process stays the same one; the secret goes on in its environment, which only its user can read.
    """
    found = take_secret(sys.orig_argv)
    if found and os.name == "posix":
        command, secret = found
        os.execve(sys.executable, [sys.executable, *command[1:]], {**os.environ, _SECRET_VARIABLE: secret})


def take_secret(command: Sequence[str]) -> tuple[list[str], str] | None:
    """Return a command line without its secret, and the secret; None where it has none."""
    kept: list[str] = []
    secret = None
    words = iter(command)
    for word in words:
        name, equals, value = word.partition("=")
        if name != _SECRET_FLAG:
            kept.append(word)
        elif (given := value if equals else next(words, None)) is not None:
            secret = given
        else:
            return None  # the parser says that the value is missing
    return None if secret is None else (kept, secret)


@contextlib.contextmanager
def tolerant_output() -> Iterator[None]:
    """Write characters that the output's encoding lacks in another form, and say so once, at the end."""
    missing = False

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        nonlocal missing
        missing = True
        return codecs.backslashreplace_errors(error)

    codecs.register_error("openrtc-escape", escape)
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        # By "surrogateescape", which Python chooses in the C locale, UTF-8 can hold everything.
        strict = {"strict"} if codecs.lookup(out.encoding).name == "utf-8" else {"strict", "surrogateescape"}
        if out.errors in strict:
            out.reconfigure(errors="openrtc-escape")
    yield
    if missing:
        from openrtc.cli.output import print_warning

        print_warning(
            f"stdout is {out.encoding}, which lacks some characters: they are escaped (PYTHONIOENCODING=utf-8)"
        )
