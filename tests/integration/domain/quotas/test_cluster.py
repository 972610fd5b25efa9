from domain.quotas.limiter import Limiter
from domain.settings import RedisSettings
from tests.deadlines import until
from tests.limits import consume
from tests.snapshots import key, limit, plan
from tests.valkeys import own_valkey


async def test_the_step_runs_on_a_cluster_for_organizations_of_any_slot(tmp_path):
    with own_valkey("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf")) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        await until(lambda: b"cluster_state:ok" in server.command("CLUSTER", "INFO"))
        url = server.url.replace("redis://", "redis+cluster://")
        limiter = Limiter(RedisSettings(url=url, timeout_ms=5_000), workers=1)
        await limiter.start()
        sold = plan(limit("day", 2), limit("month", 5, scope="key"))
        for caller in (key(), key(), key()):
            verdicts = [await consume(limiter, caller, sold) for _ in range(3)]
            assert [verdict.allowed for verdict in verdicts] == [True, True, False]
            assert {verdict.source for verdict in verdicts} == {"redis"}
        await limiter.stop()
