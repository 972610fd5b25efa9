"""The tables in ClickHouse, by versions: what is missing is applied, in order, by `paid-endpoint migrate`.

A version is never edited. Each statement may run twice, because ClickHouse knows no transaction around them.
"""

from domain.log_store.clickhouse import ClickHouse, LogStoreRefused

# Sorted as pages read: an organization's newest first. Of the text of an id PostgreSQL and ClickHouse have one order.
_REQUEST_LOG = """
create table if not exists request_log (
    id String codec(ZSTD(1)),
    at DateTime64(6, 'UTC') codec(DoubleDelta, ZSTD(1)),
    organization_id UUID codec(ZSTD(1)),
    key_id UUID codec(ZSTD(1)),
    service_id UUID codec(ZSTD(1)),
    operation_id UUID codec(ZSTD(1)),
    method LowCardinality(String),
    path String codec(ZSTD(1)),
    query String codec(ZSTD(1)),
    status UInt16 codec(ZSTD(1)),
    outcome LowCardinality(String),
    refusal LowCardinality(Nullable(String)),
    limit_name LowCardinality(Nullable(String)),
    upstream_us Nullable(Int64) codec(ZSTD(1)),
    total_us Int64 codec(ZSTD(1)),
    bytes_in Int64 codec(ZSTD(1)),
    bytes_out Int64 codec(ZSTD(1)),
    client Nullable(String) codec(ZSTD(1)),
    user_agent Nullable(String) codec(ZSTD(1)),
    cost_micro Int64 codec(ZSTD(1)),
    trace_id Nullable(String) codec(ZSTD(1)),
    decision Nullable(String) codec(ZSTD(1)),
    created_at DateTime64(6, 'UTC') codec(DoubleDelta, ZSTD(1)),
    client_bits IPv6 materialized toIPv6OrDefault(ifNull(client, '')) codec(ZSTD(1)),
    index by_id id type bloom_filter(0.01) granularity 1,
    index by_key key_id type bloom_filter(0.01) granularity 1,
    index by_at at type minmax granularity 1,
    index by_created_at created_at type minmax granularity 1
) engine = MergeTree
partition by toYYYYMMDD(at)
order by (organization_id, at, id)
settings non_replicated_deduplication_window = 10000
"""
# Rollups never change here: what is counted for an old hour later is one row more, and readers add them up.
_USAGE_ROLLUP = """
create table if not exists usage_rollup (
    shipment Int64 codec(Delta, ZSTD(1)),
    token UUID codec(ZSTD(1)),
    organization_id UUID codec(ZSTD(1)),
    key_id UUID codec(ZSTD(1)),
    service_id UUID codec(ZSTD(1)),
    operation_id UUID codec(ZSTD(1)),
    bucket DateTime('UTC') codec(Delta, ZSTD(1)),
    grain LowCardinality(String),
    status_class UInt8,
    requests Int64 codec(ZSTD(1)),
    errors Int64 codec(ZSTD(1)),
    refused Int64 codec(ZSTD(1)),
    bytes_in Int64 codec(ZSTD(1)),
    bytes_out Int64 codec(ZSTD(1)),
    upstream_us_sum Int64 codec(ZSTD(1)),
    total_us_sum Int64 codec(ZSTD(1)),
    cost_micro Int64 codec(ZSTD(1)),
    latency Array(Int64) codec(ZSTD(1)),
    index by_shipment shipment type minmax granularity 1
) engine = MergeTree
partition by (grain, toYYYYMM(bucket))
order by (organization_id, grain, key_id, bucket, service_id, operation_id, status_class)
settings non_replicated_deduplication_window = 10000
"""
VERSIONS: tuple[tuple[str, ...], ...] = ((_REQUEST_LOG,), (_USAGE_ROLLUP,))

_DATABASE = "create database if not exists {name}"
_VERSION = """
create table if not exists log_schema (version UInt32, at DateTime default now()) engine = MergeTree order by version
"""
_UNKNOWN_TABLE, _UNKNOWN_DATABASE = 60, 81


async def bring_up(store: ClickHouse) -> int:
    """Make database and tables, or change them to this version; how many versions were applied now.

    Raises LogStoreAway, LogStoreRefused.
    """
    # The name was checked where the address was parsed: it cannot be a parameter here.
    await store.execute(_DATABASE.format(name=store.address.database), database=False)
    await store.execute(_VERSION)
    present = await version_of(store)
    for number, statements in enumerate(VERSIONS[present:], present + 1):
        for statement in statements:
            await store.execute(statement)
        await store.execute("insert into log_schema (version) values ({version:UInt32})", {"version": number})
    return max(0, len(VERSIONS) - present)


async def version_of(store: ClickHouse) -> int:
    """Which version the tables have; 0: there are none. Raises LogStoreAway, LogStoreRefused."""
    try:
        return int((await store.rows("select max(version) from log_schema"))[0][0])
    except LogStoreRefused as fault:
        if fault.number in {_UNKNOWN_TABLE, _UNKNOWN_DATABASE}:
            return 0
        raise
