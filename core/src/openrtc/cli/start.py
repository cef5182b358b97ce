"""`openrtc start`: run a worker, or several under a supervisor, in production."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from openrtc.cli.setting_options import (
    add_worker_options,
    read_config,
    require_credentials,
    require_supervisor,
    runtime_arguments,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 2 instead of starting if anything is warned of or an installed agent or plugin is not usable, "
        "but for those that you have switched off",
    )
    add_worker_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run a worker, or several, until told to stop.

    Imports stand where they are needed: a supervisor must not import livekit or anybody's package.
    """
    from openrtc.model.hung_package import take_hung
    from openrtc.supervisor.process_role import FORK_SERVER, take_role

    role = take_role(os.environ)  # first, so that nothing inherits it
    environ = dict(os.environ)  # before .env is added: the supervisor's processes read a changed .env after a restart
    hung = take_hung(os.environ)  # from there alone: what is started with `environ` leaves them out, too
    config = replace(read_config(args, None), hung=hung)
    require_credentials(config)
    if role is None and not config.worker.processes:
        require_supervisor(config)
    from openrtc.cli.worker_output import log_files, open_output

    open_output(config.worker, relayed=role is None)
    if args.strict:
        from openrtc.observe.strict_start import refuse_warnings

        refuse_warnings()
    if role is None and config.worker.processes:
        from openrtc.supervisor.supervisor import supervise

        worker = config.worker
        return supervise(worker.processes, environ, worker.host, worker.port)
    if role is None:
        from openrtc.posix import end_at_once_at
        from openrtc.worker.process_exit import REPLACE_ME

        end_at_once_at("SIGHUP", REPLACE_ME)  # while there are no calls yet
    if role is None or role.name == FORK_SERVER:  # of several workers, their parent tells it
        log_files(config)
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)  # before livekit-agents is imported
    if role is not None:
        from openrtc.supervisor.prefork import run_role

        return run_role(role, config, runtime_arguments(args), environ)
    from openrtc.plugins.guard.clock import ThreadClock, use_clock
    from openrtc.supervisor.begin_again import BeginAgain
    from openrtc.worker.run import run_worker

    again = BeginAgain(environ, hung)
    use_clock(ThreadClock(again, stop=again.stop, last_resort=again))
    return run_worker(config, runtime_arguments(args))
