"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "organization_created": "The organization is ready.",
}
