"""Mails to the owners of imported organizations, with the link by which they choose their password."""

from datetime import timedelta
from typing import Any

from domain.identity.links import RESET, new_link
from domain.outbox import post_mail
from domain.passwords import NO_PASSWORD
from domain.settings import Settings

LIVES = timedelta(days=7)
AT_ONCE = 100

# Who signs in elsewhere has no password either, and has been here.
_WAITING = """
    select distinct u.id, u.email from legacy_row r
    join membership m on m.organization_id = r.new_id and m.role = 'owner' join users u on u.id = m.user_id
    where r.source = $1 and r.kind = 'client' and r.mailed_at is null
    and u.password = $2 and u.active and u.last_login is null
"""
_NOTE = """
    update legacy_row r set mailed_at = now() from membership m
    where r.source = $1 and r.kind = 'client' and m.organization_id = r.new_id and m.role = 'owner' and m.user_id = $2
"""


async def count_waiting(connection: Any, source: str) -> int:
    """Owners who have no password and were not mailed."""
    counted: int = await connection.fetchval(f"select count(*) from ({_WAITING}) as waiting", source, NO_PASSWORD)
    return counted


async def send_links(connection: Any, settings: Settings, source: str) -> int:
    """Queue a mail for each of them, once whatever dies; how many."""
    sent = 0
    while True:
        async with connection.transaction():
            rows = await connection.fetch(f"{_WAITING} order by u.id limit {AT_ONCE}", source, NO_PASSWORD)
            for row in rows:
                token = await new_link(connection, row["id"], row["email"], RESET, lives=LIVES)
                values = {"email": row["email"], "link": f"{settings.portal.base_url}/reset/{token}"}
                await post_mail(
                    connection, settings.secrets, template="imported_account", to=row["email"], values=values
                )
                await connection.execute(_NOTE, source, row["id"])
        sent += len(rows)
        if len(rows) < AT_ONCE:
            return sent
