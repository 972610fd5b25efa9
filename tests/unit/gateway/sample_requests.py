"""Requests as a door would hand them over, for tests of pure rules."""

from gateway.ends import ClientRequest


def a_request(
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    path: bytes = b"/proxy/x",
    query: bytes = b"",
    peer: str = "192.0.2.1",
) -> ClientRequest:
    return ClientRequest(
        method=method,
        target_path=path,
        query=query,
        has_query=bool(query),
        version="1.1",
        headers=list(headers),
        body=0,
        peer=peer,
        peer_port=1234,
        scheme="http",
    )
