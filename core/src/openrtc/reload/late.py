"""Takes, in a process that has waited for its job, what was edited meanwhile: it has imported everything before."""

from __future__ import annotations

import logging
from collections.abc import Collection

from openrtc.discovery.installed_look import InstalledLook
from openrtc.errors import summarize_error
from openrtc.reload.engine import Broken, Engine, PrepareAgents
from openrtc.reload.files import Files
from openrtc.reload.installed import follow_path_files
from openrtc.runtime.runtime import Runtime

logger = logging.getLogger("openrtc.reload")


class LatePackages:
    """The packages that are installed when this is made.

    Args:
        runtime: What was imported.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
    """

    def __init__(self, runtime: Runtime, prepare: PrepareAgents) -> None:
        self._runtime = runtime
        self._prepare = prepare
        self._installed = InstalledLook().look(())

    def take(self, agents: Collection[str]) -> None:
        """Import the packages of agents that this process does not know, and the worker does.

        Args:
            agents: Their names.
        """
        if all(name in self._runtime.catalog.ready for name in agents):
            return
        try:
            follow_path_files(self._installed, InstalledLook().look(()))
            engine = Engine(self._runtime, self._prepare, reads=False)
            drift = self._runtime.distributions.look(engine.list_entries())
            # Not any other: the worker has not let it join where it ends or holds up a process.
            asked = (one for one in drift if one.what == "installed" and not {*agents}.isdisjoint(one.agents))
            if new := [one.distribution for one in asked]:
                engine.stage_new(new).commit()
        except Exception as error:  # whatever it is, the call says which agent is missing
            logger.warning("new packages are not there in this process: %s", summarize_error(error))


class LateEdits:
    """The packages of a process as they are when this is made.

    Args:
        runtime: What was imported.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
        since: When the process began to import, in seconds since the epoch.
    """

    def __init__(self, runtime: Runtime, prepare: PrepareAgents, since: float) -> None:
        self._engine = Engine(runtime, prepare)
        self._files = Files()
        self._files.look(self._engine.list_places())
        self._early = self._files.list_since(since)

    def take(self) -> None:
        """Import anew what has changed since, all or nothing; the worker has told already what is broken of it."""
        try:
            state = self._engine.look_at_installed()
            installed = set() if self._engine.is_known(state) else self._engine.find_installed(state)
            changed = self._early | self._files.look(self._engine.list_places())
            self._early = set()
            if staged := self._engine.stage(changed, installed):
                staged.commit()
        except Broken as broken:
            logger.debug("this process goes on with the code that it has: %s", broken)
        except Exception as error:  # whatever it is, the call must be held
            logger.warning("this process goes on with the code that it has: %s", summarize_error(error))
