"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "sent_again": "If a sign-up waits for this address, the link is on its way once more.",
    "address_confirmed": "Your address is confirmed. Welcome.",
    "password_set": "Your new password is set. All other browsers are signed out.",
    "organization_created": "The organization is ready.",
}
