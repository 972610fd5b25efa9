"""Every test of exports again, with the rows in ClickHouse."""

from tests.integration.portal.test_logs_export import *  # noqa: F403
