"""What is wrong with this machine: ports, descriptors, files that are written, workers that run or have been left."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.dispatch.diagnosis import find_obstacle
from openrtc.doctor.processes import Process, find_listener, find_orphans
from openrtc.doctor.results import fail, ok, warn
from openrtc.errors import OpenRTCError
from openrtc.model.check_result import CheckResult
from openrtc.observe.health.listening import open_listeners
from openrtc.observe.sockets import is_stale, list_sockets, socket_folder, why_not_private
from openrtc.posix import count_free_descriptors, is_own, read_descriptor_limits
from openrtc.settings.config import Config
from openrtc.worker.descriptors import compute_needs

PORTS, DESCRIPTORS, WORKERS, EVENTS = "ports", "descriptors", "workers", "metrics_jsonl"
MOST_PORTS = 64
"""Ports of a supervisor's workers that are tried."""
NO_LIMIT_AT = 1 << 30
"""Open files that no limit keeps a process from: what a worker needs is far below."""
NO_ANSWER = "does not answer"


def check_ports(config: Config, workers: Sequence[Mapping[str, Any]]) -> Iterator[CheckResult]:
    """Check that a worker could listen on its health port, on which ``/metrics`` is as well.

    Args:
        config: The settings.
        workers: The workers that run on this machine, as they describe themselves.
    """
    host, first = config.worker.host, config.worker.port
    if not first:
        yield ok(PORTS, "the health server takes a free one")
        return
    ports = range(first, first + min(max(config.worker.processes, 1), MOST_PORTS))
    free = []
    for port in ports:
        try:
            for listener in open_listeners(host, port):
                listener.close()
            free.append(str(port))
        except OpenRTCError as error:
            yield _explain_taken(error, port, {worker["pid"] for worker in workers})
    if free:
        yield ok(PORTS, f"{host}:{', '.join(free)} free for the health server and /metrics")


def _explain_taken(error: OpenRTCError, port: int, workers: set[int]) -> CheckResult:
    holder = find_listener(port)
    if holder and holder.pid in workers:
        return ok(PORTS, f"{port} has the worker with pid {holder.pid}; a further one needs another --port")
    whose = f": {holder.title} with pid {holder.pid} listens there" if holder else ""
    free = _find_free(port)
    fix = f"choose another port: --port {free} or OPENRTC_PORT={free}" if free else error.fix or ""
    if holder:
        fix += f"; or end that program: kill {holder.pid}"
    if "--host" in (error.fix or ""):
        fix = "correct --host or OPENRTC_HOST: 127.0.0.1, or 0.0.0.0 for all addresses of this machine"
    return fail(PORTS, f"{error.message}{whose}", fix)


def _find_free(taken: int) -> int | None:
    for port in range(taken + 1, min(taken + 20, 65_536)):
        try:
            for listener in open_listeners("127.0.0.1", port):
                listener.close()
        except OpenRTCError:
            continue
        return port
    return None


def check_descriptors(catalog: Catalog, config: Config) -> Iterator[CheckResult]:
    """Check that as many sessions as the settings allow fit under the limit of open files.

    Args:
        catalog: The agents.
        config: The settings.
    """
    limits, free = read_descriptor_limits(), count_free_descriptors()
    if limits is None or free is None:
        yield ok(DESCRIPTORS, "this system sets no limit")
        return
    yield judge_descriptors(limits, limits[0] - free, catalog, config)


def judge_descriptors(limits: tuple[int, float], open_now: int, catalog: Catalog, config: Config) -> CheckResult:
    """Say what limits of open files mean.

    Args:
        limits: The soft and the hard one.
        open_now: How many are open.
        catalog: The agents.
        config: The settings.
    """
    needs, soft = compute_needs(catalog, config, open_now), limits[0]
    hard = max(soft, int(min(limits[1], NO_LIMIT_AT)))
    fitting = int(needs.count_fitting(hard))
    how = f"let this user open {needs.all} files: LimitNOFILE={needs.all} of systemd, --ulimit nofile={needs.all} of "
    how += f"Docker, or ulimit -Hn; or take fewer sessions: --max-sessions {max(fitting, 1)}"
    if fitting < 1:
        error = needs.build_error(hard)
        return fail(DESCRIPTORS, error.message.replace("this process", "a process"), how.partition("; or ")[0])
    if fitting < needs.wanted:
        message = f"only {fitting} of max_sessions = {needs.wanted} fit: ulimit -Hn is {hard}"
        return warn(DESCRIPTORS, message, how)
    raised = f"; a worker raises its limit from {soft} to {needs.all}" if needs.all > soft else f" of {soft}"
    return ok(DESCRIPTORS, f"{needs.wanted} sessions need {needs.all}{raised}")


def check_event_file(config: Config) -> Iterator[CheckResult]:
    """Check that the file of ``--metrics-jsonl`` can be written, where there is one."""
    if not config.worker.metrics_jsonl:
        return
    path = Path(config.worker.metrics_jsonl)
    if path.is_dir():
        yield fail(EVENTS, f"{path} is a folder", "name a file in metrics_jsonl")
    elif not path.absolute().parent.is_dir():
        yield fail(EVENTS, f"{path} is to be in a folder that does not exist", f"mkdir -p {path.absolute().parent}")
    elif not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        yield fail(EVENTS, f"{path} cannot be written by this user", "give this user the right, or name another file")
    else:
        yield ok(EVENTS, f"{path} can be written")


def check_workers(workers: Sequence[Mapping[str, Any]], processes: Sequence[Process]) -> Iterator[CheckResult]:
    """Check the workers that run, and what is left of others.

    Args:
        workers: The workers of this user on this machine, as they describe themselves.
        processes: All processes that can be looked at.
    """
    if why := why_not_private():
        folder = socket_folder()
        own = folder.is_dir() and not folder.is_symlink() and is_own(folder.lstat())
        private = "set XDG_RUNTIME_DIR to a folder of yours with mode 0700, for workers and commands"
        yield warn(WORKERS, why, f"chmod 700 {folder}" if own else private)
    for worker in workers:
        pid, state = worker["pid"], worker["state"]
        if state == NO_ANSWER:
            yield fail(
                WORKERS, f"the worker with pid {pid} does not answer", f"look into its log, or end it: kill {pid}"
            )
        elif obstacle := find_obstacle(worker):
            fix = "wait, or start a further worker" if state == "ready" else "look into its log, and at openrtc top"
            yield warn(WORKERS, f"the worker with pid {pid} takes no calls now: {obstacle}", fix)
        else:
            taken = f"{worker['sessions']} of {worker['max_sessions']} sessions"
            yield ok(WORKERS, f"pid {pid} runs, at {worker.get('url', '')}: {taken}")
    known = {str(worker["pid"]) for worker in workers}  # one may just have ended
    sockets = [*list_sockets("*.sock"), *list_sockets("*.events")]
    if stale := [path for path in sockets if path.stem not in known and is_stale(path)]:
        names = " ".join(map(str, sorted(stale)))
        many = "sockets are" if len(stale) > 1 else "socket is"
        yield warn(WORKERS, f"{len(stale)} {many} left of workers that are gone", f"rm {names}")
    for orphan in find_orphans(processes):
        message = f"{orphan.title} with pid {orphan.pid} is left of a program that is gone"
        yield warn(WORKERS, message, f"kill {orphan.pid}")
    if not workers:
        yield ok(WORKERS, "none of this user runs on this machine")
