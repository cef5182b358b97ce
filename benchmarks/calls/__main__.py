"""Compares what a call costs in several workers.

python benchmarks/calls [--workers process,ours] [--calls 1,4,8,16] [--repeats 3] [--seconds 45] [--turn-detector]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import report
from measure import Bench, Result
from speech import write_speech
from workers import HERE, OUR_AGENT, WORKERS

from openrtc.server import LocalServer

DEFAULT_WORKERS = "process,process-no-preload,thread,peer,ours,ours-lean,floor"


def main() -> int:
    """Measure, and print and write what was found."""
    arguments = _parser().parse_args()
    names = arguments.workers.split(",")
    if unknown := [name for name in names if name not in WORKERS]:
        sys.exit(f"there is no worker {unknown[0]}; there are {', '.join(WORKERS)}")
    if any(WORKERS[name].peer for name in names) and not arguments.peer_python:
        sys.exit("the peer needs --peer-python, the interpreter of an environment with openrtc[cli,livekit]==0.20.1")
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = _measure_all(arguments, names)
    _write(arguments.output, results)
    print(report.table(results))
    return 0


def _measure_all(arguments: argparse.Namespace, names: list[str]) -> list[Result]:
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder, LocalServer(port=0) as server:
        speech = Path(folder) / "speech.npz"
        write_speech(speech)
        OUR_AGENT.install_into(speech.parent)
        bench = Bench(
            server, speech, arguments.output, arguments.seconds, arguments.peer_python, arguments.turn_detector
        )
        for calls in arguments.calls:
            for repeat in range(arguments.repeats):  # A B C A B C, so that each meets the same machine
                for name in names:
                    results.append(bench.measure(name, calls, repeat))
                    _print_result(results[-1])
                    _write(arguments.output, results)
    return results


def _print_result(result: Result) -> None:
    print(
        f"{time.strftime('%H:%M:%S')} {result.worker} with {result.calls} calls: {result.cpu:.2f} CPU s a call-minute, "
        f"{result.relative:.2f} of the callers', reply {report.percentile(result.replies, 0.5):.2f} s, "
        f"lost {result.lost} of {result.turns}",
        file=sys.stderr,
        flush=True,
    )


def _write(folder: Path, results: list[Result]) -> None:
    slim = [replace(one, lags=[report.percentile(one.lags, share) for share in (0.5, 0.99)]) for one in results]
    content = {
        "machine": report.machine(),
        "callers": hashlib.sha256((HERE / "load.py").read_bytes()).hexdigest(),
        "results": [result.to_json() for result in slim],
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1))
    (folder / "results.md").write_text(report.table(results) + "\n")
    (folder / "results.svg").write_text(report.plot(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/calls", description=__doc__)
    parser.add_argument("--workers", default=DEFAULT_WORKERS, help=f"some of {', '.join(WORKERS)}")
    parser.add_argument("--calls", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=45.0, help="length of each measurement")
    parser.add_argument("--turn-detector", action="store_true", help="let livekit-agents' turn detector end turns")
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peer's environment")
    parser.add_argument("--output", type=Path, default=HERE.parent / "results", help="folder for logs and results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
