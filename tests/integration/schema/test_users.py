"""One identity with Argon2id: create, load, save, sign in, change the password, whatever Piccolo does in between."""

import secrets
import subprocess
import sys

from domain.migrating import ROOT

# Piccolo's engine is global to a process, so the round trip has one for itself.
ROUND_TRIP = """
import asyncio, sys
from argon2 import PasswordHasher
from domain.migration_run import _configure
_configure(sys.argv[1])
from schema.users import User

async def main(address):
    user = await User.create_user(address.upper(), "correct horse", active=True)
    assert user.email == user.username == address, user.email
    stored = (await User.select(User.password).where(User.id == user.id).first())["password"]
    assert stored.startswith("$argon2id$"), stored

    loaded = await User.objects().where(User.email == address).first()
    assert loaded.password == stored
    loaded.first_name = "Ann"
    await loaded.save()
    assert (await User.select(User.password).where(User.id == user.id).first())["password"] == stored
    await loaded.refresh()
    assert (loaded.password, loaded.first_name) == (stored, "Ann")

    assert await User.login(address, "correct horse") == user.id
    assert await User.login(address.upper(), "correct horse") == user.id
    assert await User.login(address, "wrong horse") is None
    assert await User.login("nobody@example.com", "correct horse") is None
    assert await User.login(address, "x" * 1000) is None
    assert await User.login(address, stored) is None
    assert (await User.select(User.last_login).where(User.id == user.id).first())["last_login"].tzinfo

    for bad in ("", "short", "x" * 200, stored):
        try:
            await User.update_password(user.id, bad)
        except ValueError:
            continue
        raise AssertionError(bad)
    await User.update_password(address.upper(), "another horse")
    assert await User.login(address, "correct horse") is None
    assert await User.login(address, "another horse") == user.id

    weak = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("old horse")
    await User.update({User.password: weak}).where(User.id == user.id)
    assert await User.login(address, "old horse") == user.id
    rehashed = (await User.select(User.password).where(User.id == user.id).first())["password"]
    assert rehashed != weak and "m=19456,t=2,p=1" in rehashed
    assert await User.login(address, "old horse") == user.id

    loaded.password = "set directly"
    await loaded.save()
    assert await User.login(address, "set directly") == user.id

asyncio.run(main(sys.argv[2]))
"""


def test_create_load_save_login_update(database_url):
    address = f"u-{secrets.token_hex(4)}@example.com"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ROUND_TRIP, database_url, address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
