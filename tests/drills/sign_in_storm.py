"""Wrong passwords by the thousand, from one address and from as many addresses: what attacker and owner experience.

`python -m tests.drills.sign_in_storm` runs both cases with 1,000 tries each on databases of its own, some 20 s.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cli.supervisor.services import EmbeddedServices
from domain.identity.throttle import RULES
from domain.migrating import migrate
from tests.mailboxes import link_to
from tests.portals import PASSWORD, Browser, Portal, portal_settings, running_portal

AT_ONCE = 30
SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass
class Story:
    """What everybody saw. Pairs are a status and milliseconds; `inside`: the attacker got a session."""

    case: str
    attacker: Counter[int] = field(default_factory=Counter)
    waits: list[int] = field(default_factory=list)
    inside: int = 0
    seconds: float = 0.0
    owner_known_browser: tuple[int, float] = (0, 0.0)
    owner_new_browser: tuple[int, float] = (0, 0.0)
    owner_by_mail: tuple[int, float] = (0, 0.0)
    other_customer: tuple[int, float] = (0, 0.0)
    guesses_a_day: int = 0

    def lines(self) -> list[str]:
        """The same for people."""
        tries = sum(self.attacker.values())
        refused = f"{self.attacker[429]} answered with 429"
        waits = f"Retry-After {min(self.waits, default=0)} to {max(self.waits, default=0)} s"
        return [
            f"{self.case}: {tries} tries in {self.seconds:.1f} s",
            f"  attacker: {self.attacker[401]} passwords looked at, {refused}, {waits}, {self.inside} times inside",
            f"  attacker: at most {self.guesses_a_day} passwords looked at in a day",
            _line("owner, browser that signed in before, meanwhile", self.owner_known_browser),
            _line("owner, new browser, right password, meanwhile", self.owner_new_browser),
            _line("owner, new browser, link by mail, meanwhile", self.owner_by_mail),
            _line("another customer, new browser, meanwhile", self.other_customer),
        ]

    @property
    def broken(self) -> list[str]:
        """What should not have been."""
        wanted = {
            "the attacker came in": self.inside == 0,
            "more guesses were looked at than strangers have": self.attacker[401] <= guesses("account", 60),
            "something else than 401 and 429 was answered": set(self.attacker) <= {401, 429},
            "the owner's own browser was refused": self.owner_known_browser[0] == 303,
            "the mailed link did not let the owner in": self.owner_by_mail[0] == 303,
            "another customer was refused": self.other_customer[0] == 303,
        }
        return [what for what, held in wanted.items() if not held]


def guesses(rule: str, seconds: int) -> int:
    """How many tries the rule's window of so many seconds, or of fewer, allows."""
    amounts = [
        (int(amount), int(count or 1) * SECONDS[unit])
        for amount, count, unit in re.findall(r"(\d+)/(\d*) ?(minute|hour|day)", RULES[rule])
    ]
    return max(amount for amount, length in amounts if length <= seconds)


async def storm(portal: Portal, case: str, addresses: list[str], tries: int) -> Story:
    """So many tries on one account, at most AT_ONCE under way; the last one would be right."""
    _, email = await portal.user()
    _, other = await portal.user()
    known, own_address = portal.browser("198.51.100.7"), "198.51.100.8"
    await _sign_in(known, email, PASSWORD)
    await known.post("/sign-out")
    story, gate, calm = (
        Story(case, guesses_a_day=guesses("account", 86_400)),
        asyncio.Semaphore(AT_ONCE),
        asyncio.Event(),
    )

    async def attack(number: int) -> None:
        async with gate:
            browser = portal.browser(addresses[number % len(addresses)])
            answer = await _sign_in(browser, email, PASSWORD if number == tries - 1 else f"guess number {number}")
            story.attacker[answer.status_code] += 1
            story.inside += answer.status_code == 303
            if answer.status_code == 429:
                story.waits.append(int(answer.headers["retry-after"]))
        if sum(story.attacker.values()) >= tries // 4:
            calm.set()

    async def live() -> None:
        await calm.wait()
        story.owner_known_browser = await _timed(known, email)
        story.owner_new_browser = await _timed(portal.browser(own_address), email)
        story.other_customer = await _timed(portal.browser(own_address), other)
        story.owner_by_mail = await _by_mail(portal, own_address, email)

    begin = time.monotonic()
    await asyncio.gather(live(), *(attack(number) for number in range(tries)))
    story.seconds = time.monotonic() - begin
    return story


async def _sign_in(browser: Browser, email: str, password: str):
    return await browser.post("/sign-in", {"email": email, "password": password})


async def _timed(browser: Browser, email: str) -> tuple[int, float]:
    await browser.get("/sign-in")
    begin = time.monotonic()
    answer = await _sign_in(browser, email, PASSWORD)
    return answer.status_code, (time.monotonic() - begin) * 1_000


async def _by_mail(portal: Portal, address: str, email: str) -> tuple[int, float]:
    browser, begin = portal.browser(address), time.monotonic()
    await browser.post("/forgot", {"email": email})
    answer = await browser.post(await link_to(portal, email, "reset_password"), {"password": "entirely new words"})
    return answer.status_code, (time.monotonic() - begin) * 1_000


def both(tries: int) -> list[tuple[str, list[str]]]:
    """The two cases: their names and the attacker's addresses."""
    many = [f"10.{number // 250}.{number % 250}.9" for number in range(tries)]
    return [("one address", ["203.0.113.5"]), (f"{tries} addresses", many)]


def _line(who: str, seen: tuple[int, float]) -> str:
    words = {303: "in", 401: "refused", 429: "asked to wait, or to use the mail"}
    return f"  {who}: {words.get(seen[0], seen[0])}, {seen[1]:.0f} ms"


async def _run(database_url: str, redis_url: str, folder: Path, tries: int) -> list[str]:
    await migrate(database_url)
    broken = []
    async with running_portal(portal_settings(database_url, redis_url, folder)) as portal:
        for case, addresses in both(tries):
            story = await storm(portal, case, addresses, tries)
            print(*story.lines(), sep="\n")
            broken += [f"{case}: {what}" for what in story.broken]
    return broken


def main() -> int:
    """Run both cases; 1 if a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1_000, choices=range(100, 10_001), metavar="100..10000")
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as folder, EmbeddedServices(Path(folder) / "data") as services:
        broken = asyncio.run(_run(services.database_url, services.redis_url, Path(folder) / "mail", tries))
    print(*(f"BROKEN: {what}" for what in broken), sep="\n", end="" if not broken else "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
