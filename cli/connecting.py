"""Run one piece of work on a database connection, and turn what goes wrong into a sentence and an exit status."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from cli.output import USAGE, fail
from cli.setting_faults import setting_faults
from domain.faults import DatabaseUnreachable, Fault, InvalidValue
from domain.settings import Settings, load_settings

T = TypeVar("T")
CONNECT_TIMEOUT = 10.0


def with_connection(work: Callable[[asyncpg.Connection, Settings], Awaitable[T]]) -> T:
    """The result of `work(connection, settings)`. Ends the command when it fails: 2 for a bad value, else 1."""
    settings = settings_or_fail()

    async def connected() -> T:
        try:
            connection = await asyncpg.connect(settings.database.url.get_secret_value(), timeout=CONNECT_TIMEOUT)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise DatabaseUnreachable(f"The database cannot be reached: {reason}") from None
        try:
            return await work(connection, settings)
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT)

    return run_or_fail(connected())


def run_or_fail(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine; a fault of the domain ends the command with its sentence."""
    try:
        return asyncio.run(work)
    except InvalidValue as fault:
        fail(str(fault), USAGE)
    except Fault as fault:
        fail(str(fault))
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        fail("The database does not have this version's schema; run: paid-endpoint migrate")
    except asyncpg.PostgresError as error:
        fail(f"The database refused: {error}")
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        fail(f"The database was lost: {error or type(error).__name__}")


def settings_or_fail() -> Settings:
    """The settings; a bad one ends the command and is named."""
    try:
        return load_settings()
    except ValueError as error:
        fail(f"A setting is wrong. {setting_faults(error)}.")
