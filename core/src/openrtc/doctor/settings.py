"""What is wrong with the settings, and with what they say of the LiveKit server's key and secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from openrtc.doctor.results import fail, of_error, of_line, ok, warn
from openrtc.errors import OpenRTCError
from openrtc.model.check_result import CheckResult
from openrtc.settings.config import Config, WorkerSettings

SETTINGS, CREDENTIALS = "settings", "credentials"
VARIABLES_OF = {"url": "LIVEKIT_URL", "api_key": "LIVEKIT_API_KEY", "api_secret": "LIVEKIT_API_SECRET"}
HOW_TO_SET = "set it in the environment, in .env or by --url --api-key --api-secret"
QUOTES = "\"'"


def check_settings(config: Config, errors: Sequence[OpenRTCError], warnings: Sequence[str]) -> Iterator[CheckResult]:
    """Check what was read.

    Args:
        config: What could be read.
        errors: What is wrong, and was left out.
        warnings: Lines about names that nobody has, each with its fix.
    """
    for error in errors:
        found = of_error(SETTINGS, error)
        yield found if found.fix else replace(found, fix=f"correct it in {found.location}")
    for line in (*config.env_files.left_out, *config.deprecations, *warnings):
        yield of_line(SETTINGS, line, fix="correct it there")
    if not errors:
        read = [*filter(None, [config.source]), *config.env_files.read]
        yield ok(SETTINGS, f"read: {', '.join(map(str, read))}" if read else "no openrtc.toml and no .env here")


def check_credentials(config: Config, local: WorkerSettings | None) -> Iterator[CheckResult]:
    """Check that it is known how to reach the LiveKit server; shows no key and no secret.

    Args:
        config: The settings.
        local: How to reach the server of a worker that runs here, where the settings leave something open.
    """
    values = {name: str(getattr(config.worker, key)) for key, name in VARIABLES_OF.items()}
    missing = [name for name, value in values.items() if not value]
    if missing and local is not None:
        yield ok(CREDENTIALS, "the server of a worker on this machine, whose key and secret everybody knows")
    elif len(missing) == len(values):
        without = "without a server: openrtc dev --with-server, or openrtc demo"
        message = f"no LiveKit server is set, which openrtc start needs: missing {', '.join(missing)}"
        yield warn(CREDENTIALS, message, f"{HOW_TO_SET}; {without}")
    elif missing:
        yield fail(CREDENTIALS, f"missing: {', '.join(missing)}", HOW_TO_SET)
    else:
        told = (f"{name} from {find_origin(config, key)}" for key, name in VARIABLES_OF.items())
        yield ok(CREDENTIALS, ", ".join(told))
    for key, name in VARIABLES_OF.items():
        value = values[name]
        if len(value) > 1 and value[0] in QUOTES and value[0] == value[-1]:
            fix = f"take the quotation marks away in {find_origin(config, key)}; docker --env-file keeps them"
            yield fail(CREDENTIALS, f"{name} begins and ends with a quotation mark", fix)
        elif any(not one.isprintable() or one.isspace() for one in value):
            yield fail(CREDENTIALS, f"{name} holds a space or a line's end", f"correct {find_origin(config, key)}")


def find_origin(config: Config, key: str) -> str:
    """Return where a setting of the worker stands, for a message."""
    origin = config.origins.get(f"worker.{key}", "the program")
    return "the environment" if origin == VARIABLES_OF.get(key) else origin.removesuffix(f": {VARIABLES_OF.get(key)}")
