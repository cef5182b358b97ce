"""`openrtc start`: run a worker, or several under a supervisor, in production."""

from __future__ import annotations

import argparse
import os

from openrtc.cli.worker_options import add_worker_options, read_config, require_credentials, runtime_arguments
from openrtc.worker.speed.imports import hurry_imports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_worker_options(parser)
    parser.add_argument(
        "--processes",
        metavar="N",
        help="run N workers, or one for each core (auto), and start those anew that die (OPENRTC_PROCESSES)",
    )


def run(args: argparse.Namespace) -> int:
    """Run a worker, or several, until told to stop."""
    from openrtc.supervisor.part import take_part

    part = take_part(os.environ)
    environ = dict(os.environ)
    config = read_config(args)
    require_credentials(config)
    from openrtc.observe.logs import configure_logs

    configure_logs(config.worker.log_level, config.worker.log_format)
    if part is None and config.worker.processes:
        from openrtc.supervisor.supervise import supervise

        return supervise(config.worker.processes, environ)
    hurry_imports(config.worker.speedups)
    if part is not None:
        from openrtc.supervisor.prefork import play

        return play(part, config, runtime_arguments(args), environ)
    from openrtc.worker.run import run_worker

    return run_worker(config, runtime_arguments(args))
