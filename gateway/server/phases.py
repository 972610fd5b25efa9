"""What the next bytes of a client's connection are."""

IDLE, BODY, BUSY, LINGER, TUNNEL, CLOSED = range(6)
"""A request head; the body of the request in progress; what follows it (held); nothing any more (dropped); a tunnel's."""
