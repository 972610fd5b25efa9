"""What is done at the end of a turn is done once, before the loop looks at its sockets again, fault or not."""

import asyncio
import socket

from gateway.upstream.clock import Clock


async def test_what_was_put_off_in_a_turn_is_done_in_order_and_once():
    clock, done = Clock(), []
    turn = clock.this_turn()
    clock.at_end(lambda: done.append(("first", clock.turn)))
    clock.at_end(lambda: done.append(("second", clock.turn)))
    await asyncio.sleep(0)
    assert done == [("first", turn), ("second", turn)]
    await asyncio.sleep(0)
    assert len(done) == 2
    assert clock.turn == turn + 1


async def test_what_is_put_off_at_the_end_is_done_at_the_same_end():
    clock, done = Clock(), []
    clock.at_end(lambda: clock.at_end(lambda: done.append(clock.turn)))
    turn = clock.turn
    await asyncio.sleep(0)
    assert done == [turn]


async def test_the_end_says_that_it_is_one():
    clock, said = Clock(), []
    clock.at_end(lambda: said.append(clock.ending))
    said.append(clock.ending)
    await asyncio.sleep(0)
    said.append(clock.ending)
    assert said == [False, True, False]


async def test_a_fault_keeps_nothing_else_from_being_done(caplog):
    clock, done = Clock(), []
    clock.at_end(lambda: 1 // 0)
    clock.at_end(lambda: done.append(1))
    await asyncio.sleep(0)
    assert done == [1]
    assert "fault at the end of a turn" in caplog.text
    clock.at_end(lambda: done.append(2))
    await asyncio.sleep(0)
    assert done == [1, 2]


async def test_the_end_comes_before_the_loop_looks_at_its_sockets_again():
    """`may_take` relies on it: within a turn the read that ended an answer was the last look."""
    clock, order, loop = Clock(), [], asyncio.get_running_loop()
    here, there = socket.socketpair()
    here.setblocking(False)
    try:

        def readable() -> None:
            here.recv(1)
            order.append("read")
            if order.count("read") == 1:
                clock.at_end(lambda: order.append("end"))
                there.send(b"2")
            else:
                loop.remove_reader(here)

        loop.add_reader(here, readable)
        there.send(b"1")
        async with asyncio.timeout(5):
            while len(order) < 3:
                await asyncio.sleep(0)
        assert order == ["read", "end", "read"]
    finally:
        loop.remove_reader(here)
        here.close()
        there.close()
