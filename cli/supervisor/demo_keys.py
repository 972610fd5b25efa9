"""New demo secrets for an instance that lost the file in which the old ones stood."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from domain import keys
from domain.passwords import hash_password
from domain.seed import ORGANIZATIONS
from domain.settings import KeySettings


async def replace_keys(connection: Any, settings: KeySettings, names: Iterable[str]) -> dict[str, str]:
    """Plaintexts of new keys by their name in demo.env; what they replace stops at once."""
    made = {}
    for name in names:
        slug, key_name, environment = next(
            (slug, key_name, environment)
            for slug, *_, wanted in ORGANIZATIONS
            for variable, key_name, environment in wanted
            if variable == name
        )
        organization_id = await connection.fetchval("select id from organization where slug = $1", slug)
        living = await connection.fetchval(
            "select id from api_key where organization_id = $1 and name = $2 and scheme = 'hmac' and revoked_at is null"
            " and (expires_at is null or expires_at > now()) order by created_at desc limit 1",
            organization_id,
            key_name,
        )
        if living is None:
            created = await keys.create(
                connection, settings, organization_id=organization_id, name=key_name, environment=environment
            )
        else:
            created = await keys.rotate(
                connection, settings, living, organization_id=organization_id, overlap=timedelta(0)
            )
        made[name] = created.plaintext
    return made


async def reset_password(connection: Any, email: str, password: str) -> None:
    """Give the user a new password."""
    await connection.execute("update users set password = $2 where email = $1", email, await hash_password(password))
