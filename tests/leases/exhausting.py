"""Reachability: when all is quiet, every permit that is left can be had, on whichever worker one asks, and no more."""

import asyncio
import random
from collections.abc import Sequence

from tests.leases.scene import Scene
from tests.leases.workers import RemoteWorker

QUIET_SECONDS = 3.5
"""Unused permits have gone back after about a second of idleness, those of dead workers within another two."""
EDGE_SECONDS = 5.0
ROUNDS, PAUSE_SECONDS = 12, 0.03
"""So often one may have to ask again, in real time only: idle permits do not go back by themselves meanwhile."""
MOST = 10**6
"""Permits that are tried; who has more has no limit."""


async def quiet(scene: Scene, bucket: int) -> None:
    """Let enough time pass that no permit is out and no slot of a rolling window is charged."""
    periods = {limit.period for limit in scene.targets[bucket][1].limits}
    rolling = 66.5 if "minute" in periods else 1.5
    for _ in range(int(QUIET_SECONDS / 0.5)):
        await scene.tick(0.5)
        await asyncio.sleep(0.01)
    await scene.tick(max(0.0, rolling - QUIET_SECONDS))
    if scene.seconds_to_edge(bucket) < EDGE_SECONDS:
        await scene.tick(EDGE_SECONDS + 1)


async def exhaust(scene: Scene, bucket: int, choice: random.Random, askers: Sequence[RemoteWorker] = ()) -> int:
    """Take what is left; the number. Fails if less can be had than there is; the oracle fails if more.

    Only `askers` are asked, if given: what the others hold must be had from them.
    Requests whose fate is not known, because their worker was killed, may have taken some of it.
    """
    room, free = max(0, scene.room(bucket) - scene.unsure), scene.free_slots(bucket)
    if room > MOST:
        return 0
    asking = list(askers) or scene.alive
    taken = await _fill(scene, bucket, min(room, free), choice, asking)
    asked = 0
    for _ in range(ROUNDS):
        if taken >= room:
            break
        if free == 0:
            return taken
        if free > MOST:
            number = (room - taken) // len(asking) + 1
            parts = await asyncio.gather(*(scene.ask(worker, bucket, number) for worker in asking))
            answers = [answer for part in parts for answer in part]
        else:
            answers = await scene.ask(choice.choice(asking), bucket)
            while answers[-1].allowed and taken + len(answers) < room:
                answers += await scene.ask(choice.choice(asking), bucket)
        asked += 1
        taken += sum(answer.allowed for answer in answers)
        if taken < room:
            scene.refused_with_room += 1
            await asyncio.sleep(PAUSE_SECONDS)
    assert taken >= room, f"{taken} of {room} could be had in {asked} rounds: {scene.targets[bucket][1].limits}"
    return taken


async def _fill(scene: Scene, bucket: int, places: int, choice: random.Random, askers: Sequence[RemoteWorker]) -> int:
    """Requests that stay in progress until the caps are full; then all of them end."""
    if scene.free_slots(bucket) > MOST:
        return 0
    taken = 0
    for _ in range(ROUNDS * len(askers) + 2 * places):
        if taken >= places:
            break
        answers = await scene.ask(choice.choice(askers), bucket, hold=True)
        taken += answers[0].allowed
        if not answers[0].allowed:
            scene.refused_with_room += 1
            await asyncio.sleep(PAUSE_SECONDS)
    assert taken >= places, f"{taken} of {places} could be in progress: {scene.targets[bucket][1].limits}"
    for worker in scene.alive:
        await worker.call("done", bucket, 10**6)
    return taken
