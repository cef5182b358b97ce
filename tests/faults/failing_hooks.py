"""Plugins whose hooks fail for rooms whose name says so."""

from __future__ import annotations

from e2e.packages import Package

FAULTY_HOOKS = Package(
    name="faulty-hooks",
    modules={
        "faulty_hooks.py": """
            import asyncio
            import threading
            import time

            from openrtc import hookimpl


            class Router:
                @hookimpl
                def openrtc_route(self, request):
                    if "router-raises" in request.room_name:
                        raise LookupError("the directory is down")
                    if "router-exits" in request.room_name:
                        raise SystemExit("the directory is down")
                    if "router-blocks" in request.room_name:
                        time.sleep(4)
                    if "router-lies" in request.room_name:
                        return 42
                    return None


            class AsyncRouter:
                @hookimpl
                async def openrtc_route(self, request):
                    if "router-hangs" in request.room_name:
                        await asyncio.Event().wait()


            class Observer:
                @hookimpl
                def openrtc_session_started(self, call):
                    if "observer-raises" in call.room_name:
                        raise LookupError("the ledger is down")
                    if "observer-exits" in call.room_name:
                        raise SystemExit("the ledger is down")
                    if "observer-blocks" in call.room_name:
                        time.sleep(3)

                @hookimpl
                def openrtc_session_ended(self, call, reason):
                    if "ending-raises" in call.room_name:
                        raise LookupError("the ledger is down")


            class Ledger:
                @hookimpl
                def openrtc_session(self, call, session):
                    if "session-raises" in call.room_name:
                        raise LookupError("the ledger is down")
                    if "session-blocks" in call.room_name:
                        time.sleep(0.7)


            class AsyncLedger:
                @hookimpl
                async def openrtc_session(self, call, session):
                    if "session-hangs" in call.room_name:
                        await asyncio.Event().wait()
                    while "session-stays" in call.room_name:
                        try:
                            await asyncio.Event().wait()
                        except asyncio.CancelledError:
                            pass


            class AsyncObserver:
                @hookimpl
                async def openrtc_session_started(self, call):
                    if "observer-hangs" in call.room_name:
                        await asyncio.Event().wait()


            router, async_router, observer, async_observer = Router(), AsyncRouter(), Observer(), AsyncObserver()
            ledger, async_ledger = Ledger(), AsyncLedger()
        """
    },
    plugins={
        "router": "faulty_hooks:router",
        "async-router": "faulty_hooks:async_router",
        "observer": "faulty_hooks:observer",
        "async-observer": "faulty_hooks:async_observer",
        "ledger": "faulty_hooks:ledger",
        "async-ledger": "faulty_hooks:async_ledger",
    },
)
