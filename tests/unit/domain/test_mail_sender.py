"""From whom mails come is one line with an address: a line break would write another field of the mail."""

import pytest
from pydantic import ValidationError

from domain.portal_settings import MailSettings


@pytest.mark.parametrize(
    "sender",
    ["x <x@example.com>\nBcc: y@example.com", "x@example.com\r", "a\x00b <a@example.com>", "nobody", ""],
    ids=["line-break", "carriage-return", "nul", "no-address", "empty"],
)
def test_what_is_no_single_address_is_refused_and_the_error_says_why(sender):
    with pytest.raises(ValidationError, match="in one line"):
        MailSettings(sender=sender)


@pytest.mark.parametrize("sender", ["no-reply@localhost", "Acmé GmbH <no-reply@example.com>"])
def test_addresses_with_and_without_a_name_are_taken(sender):
    assert MailSettings(sender=sender).sender == sender
