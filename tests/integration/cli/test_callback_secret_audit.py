"""Who looks at a service's callback secret on the command line is in the audit, with why and without the secret."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from typer.testing import CliRunner

from cli.main import app
from domain import services
from tests.portals import SECRETS


async def test_looking_and_rotating_are_audited(pool, database_url):
    slug = f"s{secrets.token_hex(6)}"
    await services.create(pool, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"])

    def run(*words):
        environment = {"DATABASE_URL": database_url, "SECRET_KEYS": SECRETS}
        with ThreadPoolExecutor(1) as own:
            return own.submit(
                CliRunner().invoke, app, ("services", "callback-secret", *words), env=environment
            ).result()

    for words in ((slug,), (slug, "--rotate", "--reason", "it leaked")):
        done = await asyncio.to_thread(run, *words)
        assert done.exit_code == 0, done.output
        assert "whsec_" in done.output
    rows = await pool.fetch("select verb, reason, after::text from audit_entry where object_id = $1 order by id", slug)
    found = {row["verb"]: row["reason"] for row in rows}
    assert found == {
        "service.show_callback_secret": "on the command line",
        "service.rotate_callback_secret": "it leaked",
    }
    assert "whsec_" not in str([dict(row) for row in rows])
