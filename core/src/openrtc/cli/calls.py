"""`openrtc calls`: the calls that were held, read back from the file of events; and how a person is forgotten."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openrtc.cli.output import say
from openrtc.cli.setting_options import add_settings, read_config
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from pathlib import Path

    from openrtc.observe.event_files import EventLines

FORGET = "forget"
FOLLOW_BYTES = 1 << 20
"""Of a file, at once."""
FOLLOW_SECONDS = 0.3
"""Between two looks at whether there are new events."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "call", nargs="?", metavar="ID", help="id of the call's job (AJ_…); or \"forget\", and a person's identity"
    )
    parser.add_argument("identity", nargs="?", metavar="IDENTITY", help="whose calls are forgotten")
    parser.add_argument("--last", type=_parse_count, default=50, metavar="N", help="how many are listed; 0 for all")
    parser.add_argument("--follow", action="store_true", help="go on with what happens, until Ctrl-C or the call's end")
    parser.add_argument("--json", action="store_true", help="print JSON; with --follow, one event a line")
    add_settings(parser, "worker.metrics_jsonl")


def run(args: argparse.Namespace) -> int:
    """Show the calls, or one; exit 1 where there is none."""
    config = read_config(args)
    if args.call == FORGET:
        if not args.identity:
            raise OpenRTCError("whose calls are to be forgotten?", fix="openrtc calls forget IDENTITY")
        return _forget(args.identity, config.worker.metrics_jsonl)
    if args.identity:
        raise OpenRTCError(f"one call at a time, not {args.identity!r} as well")
    path = _find_file(config.worker.metrics_jsonl)
    if args.follow:
        return _follow(path, args.call or "", as_json=args.json)
    return _show_one(path, args.call, as_json=args.json) if args.call else _list(path, args.last, as_json=args.json)


def _find_file(name: str) -> Path:
    from pathlib import Path

    from openrtc.observe.event_files import list_files

    fix = "start workers with --metrics-jsonl FILE, and name it here, too: [worker] metrics_jsonl in openrtc.toml"
    if not name:
        raise OpenRTCError("it is not known which file holds the events", fix=fix)
    path = Path(name)
    if not list_files(path):
        raise OpenRTCError(f"there is no file {path}", origin="--metrics-jsonl", fix=fix)
    return path


def _read(path: Path) -> EventLines:
    from openrtc.observe.event_files import EventLines, list_files

    return EventLines(list_files(path))


def _list(path: Path, last: int, *, as_json: bool) -> int:
    from openrtc.observe.past_calls import collect_calls

    lines = _read(path)
    calls = list(collect_calls(lines.read()).values())
    _tell_bad_lines(path, lines.bad)
    shown = calls[-last:] if last else calls
    if as_json:
        from openrtc.cli.output import print_json

        print_json(file=str(path), calls=[call.to_json() for call in shown])
    else:
        from openrtc.cli.calls_screen import print_calls

        print_calls(shown, len(calls))
    if not calls:
        print(f"openrtc: {path} tells of no call", file=sys.stderr)
    return 0 if calls else 1


def _show_one(path: Path, job_id: str, *, as_json: bool) -> int:
    from openrtc.observe.past_calls import collect_calls

    lines = _read(path)
    events = list(lines.read(job_id))
    _tell_bad_lines(path, lines.bad)
    if not events:
        raise OpenRTCError(f"{path} tells of no call {job_id!r}", fix="openrtc calls lists them")
    (call,) = collect_calls(events).values()
    if as_json:
        from openrtc.cli.output import print_json

        print_json(file=str(path), call=call.to_json(), events=events)
    else:
        from openrtc.cli.calls_screen import print_call

        print_call(call, events)
    return 0


def _follow(path: Path, job_id: str, *, as_json: bool) -> int:
    from openrtc.cli.calls_screen import describe_in_line, print_words_hint
    from openrtc.observe.past_calls import PastCall

    seen = PastCall(job_id=job_id)
    hinted = False
    for event in _watch(path, job_id):
        if as_json:
            print(json.dumps(event), flush=True)
            line = ""
        else:
            line = describe_in_line(event, of_one=bool(job_id))
        if line:
            say(line)
        seen.note(event)
        if seen.without_words and not hinted and not as_json:
            hinted = True
            print_words_hint()
        if job_id and event["event"] == "call_ended":
            return 0
    return 0


def _watch(path: Path, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield the events of one call, all from its beginning, or those of all calls from now on."""
    from openrtc.observe.event_files import EventLines, list_files, parse_event

    if job_id:
        yield from EventLines(list_files(path)[:-1]).read(job_id)
    at = 0 if job_id or not path.exists() else path.stat().st_size
    inode, last, seen_until, rest = 0, 0.0, 0.0, b""
    while True:
        data = b""
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            found = os.fstat(file.fileno())
            if inode and (found.st_ino != inode or found.st_size < at):  # it was rotated, or has forgotten a call
                at, rest, seen_until = 0, b"", last
            inode = found.st_ino
            file.seek(at)
            data = file.read(FOLLOW_BYTES)
        at += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for event in filter(None, map(parse_event, lines)):
            if not event["job_id"] or (job_id and event["job_id"] != job_id) or event.get("time", 0) <= seen_until:
                continue
            last = event.get("time", last)
            yield event
        if len(data) < FOLLOW_BYTES:
            time.sleep(FOLLOW_SECONDS)


def _forget(identity: str, name: str) -> int:
    from pathlib import Path

    from openrtc.observe.event_files import find_calls_of, forget_calls, list_files, remove_recordings

    files = {os.path.abspath(name)} if name else set()
    for file, line in _order_workers(identity):
        files |= {file} if file else set()
        if line:
            say(line)
    if not files:
        _find_file(name)
    calls: list[str] = []
    lines = 0
    for file in sorted(files):
        found = find_calls_of(identity, list_files(Path(file)))
        calls += [job_id for job_id in found if job_id not in calls]
        lines += sum(forget_calls(one, found) for one in list_files(Path(file)) if found)
    folder = os.environ.get("OPENRTC_RECORDER_FOLDER", "").strip()
    recordings = remove_recordings(Path(folder).expanduser(), calls) if folder else []
    where = ", ".join(sorted(files))
    if not calls:
        print(f"openrtc: {where} tells of no call with {identity!r}", file=sys.stderr)
        return 1
    print(f"forgot {len(calls)} {'call' if len(calls) == 1 else 'calls'} of {identity!r}: {lines} lines of {where}")
    kept = (
        f"{len(recordings)} recordings in {folder}" if folder else "no recordings: OPENRTC_RECORDER_FOLDER is not set"
    )
    print(f"removed {kept}")
    return 0


def _order_workers(identity: str) -> Iterator[tuple[str, str]]:
    """Let the workers of this machine write no more of a person's live calls; yield their files, and what they say."""
    from openrtc.observe.snapshots import read_snapshots, send_order
    from openrtc.posix import has_unix_sockets

    for worker in read_snapshots() if has_unix_sockets() else ():
        answer = send_order(worker["pid"], {"order": "forget", "identity": identity})
        said = answer.get("done") or answer.get("refused", "")
        yield answer.get("file", ""), f"worker {worker['pid']}: {said}" if said and "file" in answer else ""


def _tell_bad_lines(path: Path, bad: int) -> None:
    if bad:
        lines = "line is no event" if bad == 1 else "lines are no events"
        print(f"openrtc: {bad} {lines} in {path}, and left out", file=sys.stderr)


def _parse_count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of calls")
    return int(text)
