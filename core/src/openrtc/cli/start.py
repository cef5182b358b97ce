"""`openrtc start`: run a worker in production."""

from __future__ import annotations

import argparse

from openrtc.cli.worker_options import add_worker_options, read_config, require_credentials, runtime_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_worker_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run a worker until it is told to stop."""
    config = read_config(args)
    require_credentials(config)
    from openrtc.observe.logs import configure_logs
    from openrtc.worker.run import run_worker

    configure_logs(config.worker.log_level, config.worker.log_format)
    return run_worker(config, runtime_arguments(args))
