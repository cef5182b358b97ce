"""`LocalServer`: a LiveKit server for this machine only, as a context manager."""

from __future__ import annotations

import http.client
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.server.find import SERVER_DISTRIBUTION, SERVER_VARIABLE, find_server
from openrtc.server.keeper import Keeper
from openrtc.server.settings import (
    DEV_API_KEY,
    DEV_API_SECRET,
    LOOPBACK,
    build_environment,
    build_settings,
    find_free_port,
    is_port_free,
)

_PORT_TAKEN = "address already in use"
"""What the server logs when it cannot listen."""

_START_RETRIES = 2  # a port that was free may be taken a moment later, twice in a row hardly ever
_POLL_SECONDS = 0.02  # the server starts in about 0.1 s
_TERM_SECONDS = (0.5, 3.0)
"""How long to wait after the first and the second SIGTERM, before SIGKILL."""

_SECRET_LENGTH = 32
"""The least length of an API secret that livekit-server asks for."""


class LocalServer:
    """A LiveKit server on loopback addresses, which runs from `start` to `stop` or inside a ``with`` block.

    Starting and stopping wait: from asyncio, call them with `asyncio.to_thread`. The server does not outlive this
    process, and Ctrl-C in the terminal reaches this process only, so that it can close its calls before the server.

    Args:
        port: TCP port for HTTP and signalling; 0 picks a free one.
        udp_port: UDP port for media; 0 picks a free one.
        binary: The server's program; None takes what `find_server` finds.
        api_key: API key that clients must use.
        api_secret: API secret that clients must use; 32 characters or more.
        log_level: The server's least log level: ``debug``, ``info``, ``warn`` or ``error``.
        redis: Host and port of a redis server, which SIP needs; empty for none.
        log_path: File that the server's output is appended to; None keeps it in a temporary file.
        start_timeout: Seconds to wait for the server to answer.
    """

    def __init__(
        self,
        *,
        port: int = 7880,
        udp_port: int = 0,
        binary: Path | None = None,
        api_key: str = DEV_API_KEY,
        api_secret: str = DEV_API_SECRET,
        log_level: str = "warn",
        redis: str = "",
        log_path: Path | None = None,
        start_timeout: float = 15.0,
    ) -> None:
        if len(api_secret) < _SECRET_LENGTH:
            raise OpenRTCError(f"the API secret of a local server needs {_SECRET_LENGTH} characters or more")
        self.api_key = api_key
        self.api_secret = api_secret
        self._requested_ports = (port, udp_port)
        self._binary = binary
        self._log_level = log_level
        self._redis = redis
        self._log_path = log_path
        self._start_timeout = start_timeout
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: Keeper | None = None
        self._log: IO[bytes] | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """TCP port of the server; 0 while a free one has not been picked yet."""
        return self._port

    @property
    def url(self) -> str:
        """Address for workers and clients, such as ``ws://127.0.0.1:7880``."""
        return f"ws://{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server; None before it is started and after it is stopped."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            OpenRTCError: No binary was found, the port is taken, or the server ended or did not answer in time; then
                with the last lines that it logged.
        """
        if self.running:
            raise OpenRTCError(f"the local LiveKit server is running already, at {self.url}")
        self.stop()
        binary = self._binary or _require_server()
        for _ in range(_START_RETRIES):
            try:
                return self._try_start(binary)
            except OpenRTCError as error:
                # Somebody else may have taken the free port before the server could: choose again.
                if _PORT_TAKEN not in error.message:
                    raise
        return self._try_start(binary)

    def stop(self) -> None:
        """End the server and wait for that; participants still in a room lose their connection."""
        if self._keeper:
            self._keeper.release()
            self._keeper = None
        if self._process:
            _terminate(self._process)
            self._process = None
        if self._log:
            self._log.close()
            self._log = None

    def log_tail(self, lines: int = 3) -> list[str]:
        """Return the last lines that the running server has logged, oldest first."""
        if not self._log:
            return []
        self._log.seek(self._log_start)
        logged = self._log.read().decode(errors="replace").splitlines()
        return [line.strip() for line in logged if line.strip()][-lines:]

    def _try_start(self, binary: Path) -> Self:
        try:
            self._launch(binary)
            self._wait_until_ready(binary)
        except BaseException:  # Ctrl-C too must leave no server behind
            self.stop()
            raise
        return self

    def _launch(self, binary: Path) -> None:
        port, udp_port = self._requested_ports
        if port and not is_port_free(port):
            raise _build_port_error(port)
        self._port = port or find_free_port(socket.SOCK_STREAM)
        settings = build_settings(
            port=self._port,
            udp_port=udp_port or find_free_port(socket.SOCK_DGRAM),
            keys={self.api_key: self.api_secret},
            log_level=self._log_level,
            redis=self._redis,
        )
        self._log = _open_log(self._log_path)
        self._log_start = self._log.seek(0, 2)  # what an earlier server wrote to the same file is not this one's
        self._process = _spawn(binary, build_environment(settings), self._log)
        self._keeper = Keeper(self._process.pid)

    def _wait_until_ready(self, binary: Path) -> None:
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            answered = _is_answering(self._port)
            if not self.running:  # asked second: the answer may have been another server's
                raise self._build_error(binary, f"ended at once (exit code {self._read_exit_code()})")
            if answered:
                return
            time.sleep(_POLL_SECONDS)
        raise self._build_error(binary, f"did not answer on port {self._port} within {self._start_timeout:g} s")

    def _read_exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    def _build_error(self, binary: Path, what: str) -> OpenRTCError:
        last = " / ".join(self.log_tail()) or "it logged nothing"
        return OpenRTCError(f"the local LiveKit server {what}; its last words: {last}", origin=str(binary))


def _require_server() -> Path:
    binary = find_server()
    if binary is None:
        raise OpenRTCError(
            "no livekit-server was found on this machine",
            fix=f"{install_command(SERVER_DISTRIBUTION)}, put livekit-server on the PATH, or set "
            f"{SERVER_VARIABLE} to it",
        )
    return binary


def _build_port_error(port: int) -> OpenRTCError:
    return OpenRTCError(
        f"port {port} of {LOOPBACK} is taken, so no local LiveKit server can be started there",
        fix="end the program that listens there, or choose another port",
    )


def _open_log(path: Path | None) -> IO[bytes]:
    # Appending, since the server shares the file's position with us, and we move it by reading.
    return path.open("a+b") if path else tempfile.TemporaryFile("a+b")


def _spawn(binary: Path, environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [binary],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    except OSError as error:
        raise OpenRTCError(
            f"the local LiveKit server cannot be run: {error.strerror}",
            origin=str(binary),
            fix="check that it is a program for this machine",
        ) from error


def _is_answering(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _terminate(process: subprocess.Popen[bytes]) -> None:
    # After a first SIGTERM the server waits for its participants, and it misses one that comes in the moment after its
    # start; a second one ends it.
    for seconds in _TERM_SECONDS:
        process.terminate()
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.wait()
