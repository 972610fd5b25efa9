"""What each action is tried on: somebody and something that it can be done to, and the fields of its form."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import keys, operations, plans, services, subscriptions
from domain.as_code.applying import apply
from domain.audit import Actor
from domain.job_runs import publish
from domain.limit_overrides import override_limit
from domain.partitions import ensure_partitions, today
from domain.plans import fetch_plan
from domain.webhooks.emitting import emit
from jobs.registry import JOBS
from tests.integration.admin.actions.conftest import Customer
from tests.integration.domain.credits.accounts import bonus, posted, serve
from tests.job_rows import asynchronous_operation, write_job
from tests.mailboxes import new_email
from tests.subscriptions import fresh


@dataclass
class Scene:
    """What an action is tried on."""

    office: Any
    connection: Any
    customer: Customer

    @property
    def organization(self) -> dict:
        """The field that names the customer."""
        return {"organization": self.customer.organization.slug}

    async def key(self):
        """A new key of the customer's."""
        owner = self.customer.organization.id
        return await keys.create(self.connection, self.office.settings.keys, organization_id=owner, name="a key")

    async def operation(self):
        """An operation of a service of its own."""
        slug = fresh("svc")
        await services.create(self.connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:8000"])
        return await operations.create(
            self.connection, service_slug=slug, method="GET", path_pattern="/f", name="forecast"
        )

    async def failed_delivery(self):
        """A delivery that was given up; its row."""
        owner = self.customer.organization.id
        await self.connection.execute(
            "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://example.com/h', 'x')",
            owner,
        )
        await emit(self.connection, owner, "key.created", {})
        return await self.connection.fetchrow(
            "update webhook_delivery set state = 'failed', ended_at = now() where organization_id = $1 returning *",
            owner,
        )


async def _user(scene):
    _, email = await scene.office.user()
    return email


async def _waiting(scene):
    email = new_email()
    await scene.connection.execute(
        "insert into users (username, email, password, active) values ($1, $1, '!', false)", email
    )
    return {"email": email}


async def _signed_in(scene):
    user_id, email = await scene.office.user()
    await scene.office.sign_in(user_id)
    return {"email": email}


async def _with_factor(scene):
    user_id, email = await scene.office.user()
    await scene.connection.execute(
        "insert into totp_factor (user_id, secret, confirmed_at) values ($1, 'x', now())", user_id
    )
    return {"email": email}


async def _suspended(scene):
    await scene.connection.execute(
        "update organization set state = 'suspended' where id = $1", scene.customer.organization.id
    )
    return scene.organization


async def _charged(scene):
    owner = scene.customer.organization.id
    await ensure_partitions(scene.connection, today(), today())
    await posted(scene.connection, bonus(owner, 100))
    await serve(scene.connection, {owner: [7]}, held="")
    return {
        "request_id": await scene.connection.fetchval("select id from request_log where organization_id = $1", owner),
        "said": "Sorry",
    }


async def _cancelled(scene):
    await subscriptions.cancel(scene.connection, scene.customer.organization.id)
    return scene.organization


async def _overridden(scene):
    await override_limit(scene.connection, scene.customer.organization.id, "hour", amount=5)
    return {**scene.organization, "limit": "hour"}


async def _switched_off(scene, table, column, value):
    await scene.connection.execute(f"update {table} set enabled = false where {column} = $1", value)


async def _off_service(scene):
    slug = (await scene.operation()).service_slug
    await _switched_off(scene, "service", "slug", slug)
    return {"service": slug}


async def _off_operation(scene):
    made = await scene.operation()
    await _switched_off(scene, "operation", "id", made.id)
    return {"operation": str(made.id)}


async def _archived(scene):
    await plans.change(scene.connection, scene.customer.plan, active=False)
    return {"plan": scene.customer.plan}


async def _edited(scene):
    await plans.change(scene.connection, scene.customer.plan, price_cents=7)
    return {"plan": scene.customer.plan}


async def _shadowed(scene):
    plan = await fetch_plan(scene.connection, scene.customer.plan)
    await scene.connection.execute("update plan_limit set shadow = true where plan_id = $1", plan.id)
    return {"plan": scene.customer.plan, "limit": "hour"}


async def _applied(scene):
    text = f"version: 1\nplans:\n  {scene.customer.plan}:\n    price_cents: "
    first = await apply(scene.connection, f"{text}11\n", Actor())
    await apply(scene.connection, f"{text}99\n", Actor())
    return {"config": str(first.applied_id)}


async def _plan_limit(scene):
    return {"plan": scene.customer.plan, "limit": "hour"}


async def _failed(scene):
    row = await scene.failed_delivery()
    return {"endpoint": str(row["endpoint_id"]), "since": f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}"}


def _more(**values):
    """The customer's field, and these."""

    async def made(scene):
        return {**scene.organization, **values}

    return made


async def _new_key(scene):
    return {"key": (await scene.key()).record.prefix}


async def _some_keys(scene):
    await scene.key()
    return scene.organization


async def _leak(scene):
    return {"text": f"key = {(await scene.key()).plaintext}"}


async def _to_found(scene):
    return {"name": fresh("Founded"), "plan": scene.customer.plan, "owner": await _user(scene), "bonus": "1"}


async def _new_user(scene):
    return {"email": new_email()}


async def _to_be_off(scene):
    return {"service": (await scene.operation()).service_slug}


async def _operation_to_be_off(scene):
    return {"operation": str((await scene.operation()).id)}


async def _plan(scene):
    return {"plan": scene.customer.plan}


async def _delivery(scene):
    return {"delivery": str((await scene.failed_delivery())["id"])}


async def _job(scene):
    operation = await asynchronous_operation(scene.connection)
    owner = scene.customer.organization.id
    # Nothing is held in the ledger for a row that a test writes.
    due = datetime.now(UTC) + timedelta(minutes=4)
    return {"job": str(await write_job(scene.connection, owner, operation, price_micro=0, due_at=due))}


async def _to_cancel(scene):
    return {**await _job(scene), "said": "The printer broke."}


async def _asynchronous(scene):
    return {"operation": str((await asynchronous_operation(scene.connection)).id)}


async def _to_bound(scene):
    return {**await _to_be_off(scene), "concurrency": "4", "seconds": "600"}


async def _alert(scene):
    alert_id = await scene.connection.fetchval(
        "insert into alert_state (kind, subject, name, level, snoozed_until)"
        " values ('error_rate', gen_random_uuid()::text, 'Weather', 100, now() + interval '1 hour') returning id"
    )
    return {"alert": str(alert_id)}


async def _alert_for_a_time(scene):
    return {**await _alert(scene), "until": f"{datetime.now(UTC) + timedelta(hours=9):%Y-%m-%dT%H:%M}"}


async def _another_operator(scene):
    return {"user": (await scene.office.operator("admin")).email}


async def _to_appoint(scene):
    return {"user": await _user(scene), "role": "support"}


async def _job_to_run(scene):
    await publish(scene.connection, [job.record for job in JOBS])
    return {"name": "log-summaries", "day": "2026-11-20"}


async def _failed_run(scene):
    run_id = await scene.connection.fetchval(
        "insert into job_run (name, ticket, state, ended_at, error) values ('stale-rows', gen_random_uuid()::text,"
        " 'failed', now(), 'it broke') returning id"
    )
    return {"run": str(run_id)}


async def _nothing(scene):
    return {}


SCENES = {
    "act-as-customer": _more(may_change="yes"),
    "create-organization": _to_found,
    "suspend-organization": _more(),
    "restore-organization": _suspended,
    "create-user": _new_user,
    "resend-confirmation": _waiting,
    "sign-out-user": _signed_in,
    "reset-factor": _with_factor,
    "erase-user": _signed_in,
    "mint-key": _more(name="From support"),
    "rotate-key": _new_key,
    "revoke-key": _new_key,
    "revoke-keys": _some_keys,
    "revoke-leaked-keys": _leak,
    "grant-credits": _more(credits="2", said="Hello"),
    "adjust-credits": _more(credits="+2", said="Hello"),
    "refund-request": _charged,
    "book-payment": _more(credits="5", paid="9.00 EUR", reference="RF"),
    "change-plan": _more(),
    "extend-subscription": _more(days="3"),
    "cancel-subscription": _more(),
    "resume-subscription": _cancelled,
    "override-limit": _more(limit="hour", amount="7"),
    "end-override": _overridden,
    "set-spend-caps": _more(day="3"),
    "shadow-limit": _plan_limit,
    "enforce-limit": _shadowed,
    "disable-service": _to_be_off,
    "enable-service": _off_service,
    "disable-operation": _operation_to_be_off,
    "enable-operation": _off_operation,
    "archive-plan": _plan,
    "reopen-plan": _archived,
    "undo-plan-edit": _edited,
    "undo-configuration": _applied,
    "replay-delivery": _delivery,
    "replay-failed-deliveries": _failed,
    "send-test-mail": _nothing,
    "cancel-async-job": _to_cancel,
    "send-async-job": _job,
    "make-asynchronous": _operation_to_be_off,
    "make-synchronous": _asynchronous,
    "bound-jobs": _to_bound,
    "show-callback-secret": _to_be_off,
    "rotate-callback-secret": _to_be_off,
    "snooze-alert": _alert_for_a_time,
    "wake-alert": _alert,
    "run-job": _job_to_run,
    "retry-job": _failed_run,
    "appoint-operator": _to_appoint,
    "end-operator-sessions": _another_operator,
}
"""What each action is tried with: every action of the back office."""


async def values_of(scene: Scene, slug: str) -> dict[str, str]:
    """The fields of the action's form, for something new that it can be done to."""
    values = await SCENES[slug](scene)
    if slug == "change-plan":
        values["plan"] = scene.customer.other
    if slug == "book-payment":
        values["reference"] = f"RF{secrets.token_hex(6)}"
    return {name: str(value) for name, value in values.items()}
