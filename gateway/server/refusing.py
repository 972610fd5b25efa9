"""Refusals as answers on a client connection."""

from domain.refusals import MethodNotAllowed, Refusal
from domain.request_ids import new_request_id
from gateway import problems
from gateway.server import guard
from gateway.server.answer import Answer


def answer_refusal(refusal: Refusal, answer: Answer, date: bytes, *, close: bool = False, request_id: str = "") -> None:
    """Answer with a problem document, dated `date` (an HTTP date); without an id the request gets a new one."""
    status, headers, body = problems.render(refusal, request_id or str(new_request_id()))
    headers = [(b"date", date), *headers]
    if isinstance(refusal, MethodNotAllowed):
        headers.append((b"allow", guard.ALLOW))
    answer.begin(status, headers, len(body), close=close)
    answer.data(body)
    answer.end()
