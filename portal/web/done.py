"""What the page after a change says. The URL only carries the name, so that nobody can put words into our mouth."""

DONE: dict[str, str] = {
    "signed_out": "You are signed out.",
    "saved": "Saved.",
    "organization_created": "The organization is ready.",
    "webhook_on": "The endpoint is on: events are sent to it.",
    "webhook_off": "The endpoint is off: nothing is sent to it, and what waited was given up.",
    "webhook_deleted": "The endpoint is deleted.",
    "webhook_queued": "It is on its way. Reload this page in a moment to see what the endpoint answered.",
}
