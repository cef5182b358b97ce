"""Few rooms join at once, whatever their loops do, and each gathers its addresses once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from livekit import rtc

from openrtc.session.room_sockets import PLENTY, JoinQueue, gather_once
from waiting import wait_until

ONCE, CONTINUALLY = rtc.ContinualGatheringPolicy.GATHER_ONCE, rtc.ContinualGatheringPolicy.GATHER_CONTINUALLY


def test_addresses_are_gathered_once_and_all_else_stays_as_it_is() -> None:
    options = gather_once(rtc.RoomOptions(auto_subscribe=False, connect_timeout=3.0))
    assert options.rtc_config is not None
    assert options.rtc_config.continual_gathering_policy == ONCE
    assert options.rtc_config.ice_transport_type == rtc.RtcConfiguration().ice_transport_type
    assert (options.auto_subscribe, options.connect_timeout) == (False, 3.0)


@pytest.mark.parametrize("policy", [ONCE, CONTINUALLY])
def test_a_configuration_of_an_agent_is_its_own(policy: rtc.ContinualGatheringPolicy.ValueType) -> None:
    given = rtc.RoomOptions(rtc_config=rtc.RtcConfiguration(continual_gathering_policy=policy))
    assert gather_once(given) is given


def test_the_options_that_all_rooms_have_by_default_are_not_changed() -> None:
    options = rtc.RoomOptions()
    assert gather_once(options) is not options and options.rtc_config is None


class Joins:
    """Joins of a queue, which are over when that is said."""

    def __init__(self, queue: JoinQueue) -> None:
        self.queue = queue
        self.now: set[int] = set()
        self.done: set[int] = set()
        self.most = 0
        self.over = asyncio.Event()

    async def join(self, number: int) -> None:
        async with self.queue.wait_for_turn():
            self.now.add(number)
            self.most = max(self.most, len(self.now))
            try:
                await self.over.wait()
            finally:
                self.now.discard(number)
        self.done.add(number)


async def test_only_so_many_join_at_once_and_all_do() -> None:
    joins = Joins(JoinQueue(at_once=2, seconds=60.0, count_free=lambda: PLENTY - 1))
    tasks = [asyncio.create_task(joins.join(number)) for number in range(7)]
    await asyncio.sleep(0.1)
    assert joins.now == {0, 1}, "who comes first, joins first"
    joins.over.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10.0)
    assert joins.done == set(range(7)) and joins.most <= 2


@pytest.mark.parametrize("free", [PLENTY, None])
async def test_more_join_at_once_while_there_are_plenty_of_descriptors(free: int | None) -> None:
    joins = Joins(JoinQueue(at_once=1, most=3, seconds=60.0, count_free=lambda: free))
    tasks = [asyncio.create_task(joins.join(number)) for number in range(5)]
    await asyncio.sleep(0.1)
    assert joins.now == {0, 1, 2}
    joins.over.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10.0)


async def test_who_takes_long_does_not_count_any_more() -> None:
    joins = Joins(JoinQueue(most=1, at_once=1, seconds=0.1))
    tasks = [asyncio.create_task(joins.join(number)) for number in range(3)]
    await wait_until(lambda: len(joins.now) == 3)
    joins.over.set()
    await asyncio.gather(*tasks)


async def test_who_is_cancelled_or_fails_makes_way() -> None:
    queue = JoinQueue(most=1, at_once=1, seconds=60.0)
    joins = Joins(queue)
    first, second = (asyncio.create_task(joins.join(number)) for number in range(2))
    await asyncio.sleep(0.05)
    second.cancel()  # while it waits
    first.cancel()
    await asyncio.wait({first, second})
    with pytest.raises(RuntimeError, match="no server"):
        async with queue.wait_for_turn():
            raise RuntimeError("no server")
    async with asyncio.timeout(10.0), queue.wait_for_turn():
        assert not joins.done


async def test_the_loops_of_all_threads_share_the_queue() -> None:
    queue, joined, leave = JoinQueue(most=1, at_once=1, seconds=60.0), threading.Event(), threading.Event()

    async def join() -> None:
        async with queue.wait_for_turn():
            joined.set()
            leave.wait(10.0)  # it blocks its loop

    thread = threading.Thread(target=lambda: asyncio.run(join()))
    thread.start()
    assert await asyncio.to_thread(joined.wait, 10.0)
    joins = Joins(queue)
    joining = asyncio.create_task(joins.join(0))
    await asyncio.sleep(0.1)
    assert not joins.now
    leave.set()
    joins.over.set()
    await asyncio.wait_for(joining, 10.0)
    thread.join(10.0)
