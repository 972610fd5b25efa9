"""What customers call: services (upstream APIs) and their priced operations."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.readable import Readable
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.plans import Plan


class ChargeOn(StrEnum):
    """What makes a request billable: a 2xx or 3xx answer, or any answer."""

    SUCCESS = "success"
    RESPONSE = "response"


class Service(Table, tablename="service"):
    """An upstream API under one route prefix, with what the catalog shows of it."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    slug = Text(default=None, required=True, help_text="Stable name in scopes and on the command line.")
    name = Text(default=None, required=True, help_text="As customers see it.")
    description = Text(default="", help_text="What it does.")
    category = Text(default="", help_text="Groups services in the catalog.")
    icon = Text(default="", help_text="Name of an icon.")
    colour = Text(default="", help_text="CSS colour of its card.")
    sort_order = Integer(default=0, help_text="Place in the catalog.")
    version = Text(default="", help_text="Version of the API, for display.")
    enabled = Boolean(default=True, help_text="A disabled service answers 404.")
    featured = Boolean(default=False, help_text="Shown first in the catalog.")
    beta = Boolean(default=False, help_text="Marked as beta in the catalog.")
    coming_soon = Boolean(default=False, help_text="Shown in the catalog, refused by the gateway.")
    minimum_plan_id = ForeignKey(
        Plan, null=True, index=True, on_delete=OnDelete.restrict, help_text="Lowest plan that may call it; null: any."
    )
    route_prefix = Text(default=None, required=True, help_text="Where the gateway serves it, such as `/weather`.")
    keep_prefix = Boolean(default=False, help_text="Send the prefix on to the upstream.")
    upstreams = JSONB(default=None, required=True, help_text='List of {"url": ..., "weight": ...}; balanced.')
    charge_on = Text(default=ChargeOn.SUCCESS, choices=ChargeOn, help_text="Which answers cost credits.")
    connect_timeout_ms = Integer(default=5000, help_text="Milliseconds to connect to the upstream.")
    first_byte_timeout_ms = Integer(default=30000, help_text="Milliseconds until the upstream's answer begins.")
    idle_timeout_ms = Integer(default=60000, help_text="Longest pause in the upstream's answer, in milliseconds.")
    total_timeout_ms = Integer(default=0, help_text="Milliseconds for the whole exchange; 0: no limit.")
    max_connections = Integer(default=256, help_text="Connections of one worker to one upstream at the most.")
    max_body_bytes = BigInt(default=0, help_text="Largest request body; 0: no limit.")
    tls_verify = Boolean(default=True, help_text="Verify the upstream's certificate.")
    cors_origins = Array(base_column=Text(), default=list, help_text="Origins that browsers may call from.")
    job_concurrency = Integer(default=0, help_text="Jobs of asynchronous operations at work at once; 0: no limit.")
    job_timeout_seconds = Integer(default=3600, help_text="Longest life of a job, from its acceptance to its end.")
    callback_secret = Bytea(null=True, default=None, secret=True, help_text="Signs what it says of jobs, sealed.")
    old_callback_secret = Bytea(null=True, default=None, secret=True, help_text="The one before, sealed.")
    old_callback_secret_until = Timestamptz(null=True, default=None, help_text="Until then both are good.")

    uq_service_slug = Unique([slug])
    uq_service_route_prefix = Unique([route_prefix])
    ck_service_slug = Check("slug ~ '^[a-z0-9][a-z0-9-]*$' and length(slug) <= 63")
    ck_service_name = Check("length(name) between 1 and 120")
    ck_service_route_prefix = Check("route_prefix ~ '^(/[A-Za-z0-9._~-]+)+$' and length(route_prefix) <= 255")
    ck_service_upstreams = Check(
        "case when jsonb_typeof(upstreams) = 'array' then jsonb_array_length(upstreams) > 0 else false end"
    )
    ck_service_charge_on = Check("charge_on in ('success', 'response')")
    ck_service_timeouts = Check(
        "connect_timeout_ms > 0 and first_byte_timeout_ms > 0 and idle_timeout_ms > 0 and total_timeout_ms >= 0"
    )
    ck_service_max_connections = Check("max_connections > 0")
    ck_service_max_body_bytes = Check("max_body_bytes >= 0")
    ck_service_job_concurrency = Check("job_concurrency between 0 and 100000")
    ck_service_job_timeout_seconds = Check("job_timeout_seconds between 1 and 604800")
    ck_service_old_callback_secret = Check("(old_callback_secret is null) = (old_callback_secret_until is null)")

    @classmethod
    def get_readable(cls) -> Readable:
        """How the admin names a row."""
        return Readable(template="%s", columns=[cls.slug])


class Operation(Table, tablename="operation"):
    """A method and path pattern of a service, with its price."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    service_id = ForeignKey(Service, null=False, index=True, on_delete=OnDelete.cascade, help_text="The service.")
    name = Text(default=None, required=True, help_text="Its name in scopes, logs and bills.")
    method = Text(default=None, required=True, help_text="Upper-case HTTP method, or `*` for any.")
    path_pattern = Text(default=None, required=True, help_text="Behind the prefix: `/items/{id}`, `/files/*`.")
    price_micro = BigInt(default=0, help_text="Price of a request in micro-credits (millionths).")
    quota_cost = BigInt(default=1, help_text="Units that a request takes of the plan's quotas.")
    minimum_plan_id = ForeignKey(
        Plan, null=True, index=True, on_delete=OnDelete.restrict, help_text="Lowest plan that may call it; null: any."
    )
    reserved = Boolean(default=False, help_text="Reserve the price durably before the request goes out.")
    cost_formula = Text(default="", help_text="Price by the request's fields, at most `price_micro`; empty: fixed.")
    replays = Boolean(default=False, help_text="Answer a repeated Idempotency-Key with the stored outcome.")
    asynchronous = Boolean(default=False, help_text="Answered 202 with a job; the upstream does it in its own time.")
    enabled = Boolean(default=True, help_text="A disabled operation answers 404.")

    uq_operation_service_id_method_path_pattern = Unique([service_id, method, path_pattern])
    ck_operation_name = Check("length(name) between 1 and 120")
    ck_operation_method = Check("method = '*' or (method ~ '^[A-Z][A-Z-]*$' and length(method) <= 32)")
    ck_operation_path_pattern = Check("path_pattern like '/%' and length(path_pattern) <= 1024")
    ck_operation_price_micro = Check("price_micro >= 0")
    ck_operation_quota_cost = Check("quota_cost between 0 and 1000000000")
    ck_operation_cost_formula = Check("length(cost_formula) <= 500")
