"""What money asks request logs for, with the rows in ClickHouse: the requests behind an entry, the charge of a request."""

from tests.integration.admin.actions.test_balances import (  # noqa: F401
    test_a_request_s_charge_comes_back_once,
    test_a_request_without_a_charge_has_nothing_to_give_back,
    test_of_two_refunds_of_one_request_at_once_one_is_made,
)
from tests.integration.portal.test_credits import test_a_usage_entry_leads_to_the_requests_behind_it  # noqa: F401
