"""Every test of the portal's request logs again, with the rows in ClickHouse."""

from tests.integration.portal.test_logs import *  # noqa: F403
