"""What `openrtc pause`, `resume`, `end` and `drain` share: they order something of the workers of this machine."""

from __future__ import annotations

import argparse
from typing import Any

from openrtc.cli.output import say
from openrtc.cli.top import NO_WORKER, require_sockets
from openrtc.errors import OpenRTCError

ALL = "all"


def add_worker_option(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option that chooses a worker.

    Args:
        parser: The command's parser.
        default: What counts without it, for the help.
    """
    parser.add_argument(
        "--worker",
        type=_parse_worker,
        metavar="PID",
        help=f"which worker, as openrtc top shows it (default: {default})",
    )


def list_workers(chosen: int | str | None = None) -> list[dict[str, Any]]:
    """Return the snapshots of the workers of this user on this machine.

    Args:
        chosen: The process id of the one that is meant; all without it.

    Raises:
        OpenRTCError: There is none, or not this one.
    """
    from openrtc.observe.snapshots import read_snapshots

    require_sockets()
    workers = read_snapshots()
    if not workers:
        raise OpenRTCError(NO_WORKER)
    if chosen in (None, ALL):
        return workers
    found = [worker for worker in workers if worker["pid"] == chosen]
    if not found:
        raise OpenRTCError(f"there is no worker {chosen}", fix=f"there are {name_workers(workers)}")
    return found


def name_workers(workers: list[dict[str, Any]]) -> str:
    """Return the process ids of workers, for a line."""
    return ", ".join(str(worker["pid"]) for worker in workers)


def give_order(workers: list[dict[str, Any]], **order: str) -> int:
    """Order something of workers, and say what each answers.

    Returns:
        0 where one of them does it, else 1: those that refuse then lack what is meant.
    """
    from openrtc.observe.snapshots import send_order

    answers = [(worker["pid"], send_order(worker["pid"], order)) for worker in workers]
    done = [(pid, answer["done"]) for pid, answer in answers if "done" in answer]
    for pid, line in done:
        say(f"worker {pid}: {line}")
    if not done:
        for pid, answer in answers:
            say(f"openrtc: worker {pid}: {answer['refused']}", error=True)
    return 0 if done else 1


def _parse_worker(text: str) -> int | str:
    if text == ALL or (text.isdecimal() and int(text) > 0):
        return text if text == ALL else int(text)
    raise argparse.ArgumentTypeError(f'{text!r} is neither the process id of a worker nor "all"')
