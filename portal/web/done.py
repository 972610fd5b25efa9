"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "organization_created": "The organization is ready.",
    "key_revoked": "The key is revoked. Requests with it are refused from now on.",
    "key_made_before": "This form was sent before, and made this key then. A key is shown only once; if you do not have it, rotate it.",
}
