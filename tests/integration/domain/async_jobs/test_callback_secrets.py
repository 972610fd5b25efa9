"""Callback secrets whose key of SECRET_KEYS is lost: a new one is good at once, whatever became of the one before."""

from datetime import timedelta

import pytest

from domain.async_jobs.callback_secrets import rotate_secret, show_secret, signer_of_job
from domain.portal_settings import SecretSettings
from domain.sealing import Unreadable
from domain.webhooks.signing import secret_text
from tests.integration.domain.credits.accounts import new_organization
from tests.job_rows import asynchronous_operation, write_job

LOST = SecretSettings(keys="1:" + "6b" * 32)  # type: ignore[arg-type]
KEPT = SecretSettings(keys="2:" + "6c" * 32)  # type: ignore[arg-type]


async def test_a_former_secret_that_cannot_be_opened_keeps_no_callback_out(pool):
    async with pool.acquire() as connection:
        operation = await asynchronous_operation(connection)
        job_id = await write_job(connection, await new_organization(connection), operation)
        await show_secret(connection, LOST, operation.service_slug)
        with pytest.raises(Unreadable):
            await signer_of_job(connection, KEPT, job_id)
        made = await rotate_secret(connection, KEPT, operation.service_slug, timedelta(hours=24))
        found = (await signer_of_job(connection, KEPT, job_id)).secrets
    assert [secret_text(secret) for secret in found] == [made.secret]
