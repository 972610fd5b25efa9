"""Mails as rows of the transaction that caused them; `domain.mailing` delivers them after the commit."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from domain.portal_settings import SecretSettings
from domain.sealing import seal, unseal

PURPOSE = "outbox"


async def post_mail(
    connection: Any, settings: SecretSettings, *, template: str, to: str, values: Mapping[str, str]
) -> UUID:
    """Queue the mail `template` for one address. The values may hold a link that signs in, so they are stored sealed."""
    message_id = uuid4()
    content = seal(settings, json.dumps(dict(values)).encode(), purpose=PURPOSE, owner=str(message_id))
    await connection.execute(
        "insert into outbox_message (id, template, recipient, content) values ($1, $2, $3, $4)",
        message_id,
        template,
        to,
        content,
    )
    return message_id


def values_of(settings: SecretSettings, message_id: UUID, content: bytes) -> dict[str, str]:
    """What the template of a queued mail is given. Raises domain.sealing.Unreadable."""
    values: dict[str, str] = json.loads(unseal(settings, content, purpose=PURPOSE, owner=str(message_id)))
    return values
