"""The closed set of reasons for which a caller is refused.

Each has a `code` (stable, documented in docs/errors/<code>.md), a `status`, a `title` that never changes, a default
`detail` that says what to do, and `extra` members for the problem document. `internal` is for the operator's log only.
"""

from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818  a refusal is an answer, not a fault of ours
    """Raised anywhere between the guard and the upstream; becomes one problem document."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    default_detail: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, *, internal: str = "", **extra: Any) -> None:
        super().__init__(detail or self.default_detail)
        self.detail = detail or self.default_detail
        self.internal = internal
        self.extra = extra

    @property
    def retry_after_seconds(self) -> int | None:
        """Whole seconds for Retry-After, if waiting helps."""
        value = self.extra.get("retry_after_seconds")
        return int(value) if value is not None else None


class MalformedRequest(Refusal):
    code, status, title = "malformed_request", 400, "Malformed request"
    default_detail = "The request is not valid HTTP for this gateway."


class AmbiguousCredentials(Refusal):
    code, status, title = "ambiguous_credentials", 400, "Ambiguous credentials"
    default_detail = "Send the API key once, in X-API-Key or in Authorization: Bearer."


class KeyInQuery(Refusal):
    code, status, title = "key_in_query", 400, "API key in the query string"
    default_detail = "Query strings end up in logs. Send the key in X-API-Key, and rotate this key."


class InvalidKey(Refusal):
    code, status, title = "invalid_api_key", 401, "Invalid API key"
    default_detail = "The API key is missing, malformed, unknown, expired or revoked."


class OutOfCredits(Refusal):
    code, status, title = "out_of_credits", 402, "Out of credits"
    default_detail = "This operation costs more credits than the organization has available."


class SpendCapReached(Refusal):
    code, status, title = "spend_cap_reached", 402, "Spend cap reached"
    default_detail = "The spend cap of this key or organization is used up. Raise it, or wait until it begins anew."


class OrganizationSuspended(Refusal):
    code, status, title = "organization_suspended", 403, "Organization suspended"
    default_detail = "This organization is suspended. Its owner can ask the operator why."


class NoSubscription(Refusal):
    code, status, title = "no_subscription", 403, "No active subscription"
    default_detail = "This organization has no active plan."


class ScopeMissing(Refusal):
    code, status, title = "scope_missing", 403, "Not allowed for this key"
    default_detail = "This key's scopes do not include the operation."


class AddressNotAllowed(Refusal):
    code, status, title = "address_not_allowed", 403, "Address not allowed"
    default_detail = "This key may not be used from this network address."


class PlanTooLow(Refusal):
    code, status, title = "plan_too_low", 403, "Plan does not include this service"
    default_detail = "This service needs a higher plan."


class UnknownRoute(Refusal):
    code, status, title = "unknown_route", 404, "No such route"
    default_detail = "No service is served under this path."


class ServiceDisabled(Refusal):
    code, status, title = "service_disabled", 404, "Service not available"
    default_detail = "This service is switched off or not released yet."


class MethodNotAllowed(Refusal):
    code, status, title = "method_not_allowed", 405, "Method not allowed"
    default_detail = "This method is not served."


class RequestTimeout(Refusal):
    code, status, title = "request_timeout", 408, "Request timeout"
    default_detail = "The request did not arrive in time."


class InvalidIdempotencyKey(Refusal):
    code, status, title = "invalid_idempotency_key", 400, "Invalid Idempotency-Key"
    default_detail = "Send one Idempotency-Key of 1 to 255 visible characters."


class StillRunning(Refusal):
    code, status, title = "still_running", 409, "The first request is still running"
    default_detail = "A request with this Idempotency-Key is in progress. Repeat it when that one has ended."


class OutcomeNotKept(Refusal):
    code, status, title = "outcome_not_kept", 409, "The outcome is not kept"
    default_detail = "The request with this Idempotency-Key has run, but its answer is not kept. It is not run again."


class IdempotencyMismatch(Refusal):
    code, status, title = "idempotency_mismatch", 422, "Another request under the same Idempotency-Key"
    default_detail = "This Idempotency-Key was used for a different request. Use a new key for each request."


class TooManyJobs(Refusal):
    code, status, title = "too_many_jobs", 429, "Too many jobs are open"
    default_detail = "As many jobs of this organization as may be open at once are. Wait until some of them have ended."


class UnknownJob(Refusal):
    code, status, title = "unknown_job", 404, "No such job"
    default_detail = "This organization has no such job, or this key may not see it."


class JobNotCompleted(Refusal):
    code, status, title = "job_not_completed", 409, "The job has no result"
    default_detail = "The job is not completed. Look at its status before you ask for its result."


class JobResultGone(Refusal):
    code, status, title = "job_result_gone", 410, "The result is not kept any more"
    default_detail = "Results are kept for some days after the end of their job. This one was dropped."


class JobUnderWay(Refusal):
    code, status, title = "job_under_way", 409, "The job is under way"
    default_detail = "The service may be at work on this job already, so it cannot be cancelled."


class JobOver(Refusal):
    code, status, title = "job_over", 409, "The job has ended"
    default_detail = "The job has ended in another way, and stays as it is."


class InvalidSignature(Refusal):
    code, status, title = "invalid_signature", 401, "Invalid signature"
    default_detail = "The callback is not signed with the secret of this job's service, or its timestamp is not of now."


class InvalidCallback(Refusal):
    code, status, title = "invalid_callback", 400, "Invalid callback"
    default_detail = "The body of the callback does not say what a callback says."


class BodyTooLarge(Refusal):
    code, status, title = "body_too_large", 413, "Body too large"
    default_detail = "The request body is larger than this service accepts."


class UriTooLong(Refusal):
    code, status, title = "uri_too_long", 414, "Target too long"
    default_detail = "The request target is longer than this gateway accepts."


class ExpectationFailed(Refusal):
    code, status, title = "expectation_failed", 417, "Expectation failed"
    default_detail = "The only expectation that is supported is 100-continue."


class MisdirectedRequest(Refusal):
    code, status, title = "misdirected_request", 421, "Unknown host"
    default_detail = "This host name is not served here."


class RateLimited(Refusal):
    code, status, title = "rate_limited", 429, "Limit reached"
    default_detail = "A limit of your plan is used up. Wait, or take a higher plan."


class QuotaExceeded(Refusal):
    code, status, title = "quota_exceeded", 429, "Quota used up"
    default_detail = "A quota of your plan is used up. Wait for the next period, take a higher plan, or use credits."


class TooManyAtOnce(Refusal):
    code, status, title = "too_many_at_once", 429, "Too many requests in progress"
    default_detail = "As many requests as your plan allows at a time are in progress. Wait until one of them has ended."


class TooManyBadKeys(Refusal):
    code, status, title = "too_many_bad_keys", 429, "Too many invalid keys"
    default_detail = "Too many requests with invalid keys came from this address."


class HeadersTooLarge(Refusal):
    code, status, title = "headers_too_large", 431, "Header fields too large"
    default_detail = "The request line and header fields are more than this gateway accepts."


class NotImplementedHere(Refusal):
    code, status, title = "not_implemented", 501, "Not implemented"
    default_detail = "The gateway does not implement this."


class UpstreamUnreachable(Refusal):
    code, status, title = "upstream_unreachable", 502, "Upstream unreachable"
    default_detail = "The service could not be reached. You were not charged."


class UpstreamBroken(Refusal):
    code, status, title = "upstream_broken", 502, "Upstream answered badly"
    default_detail = "The service's answer was not valid HTTP. You were not charged."


class Overloaded(Refusal):
    code, status, title = "overloaded", 503, "Overloaded"
    default_detail = "The gateway has no room for this request now."


class CannotDecide(Refusal):
    code, status, title = "cannot_decide", 503, "Cannot decide now"
    default_detail = "The gateway cannot check this key at the moment."


class UpstreamTimeout(Refusal):
    code, status, title = "upstream_timeout", 504, "Upstream too slow"
    default_detail = "The service did not answer in time. You were not charged."


class VersionNotSupported(Refusal):
    code, status, title = "version_not_supported", 505, "HTTP version not supported"
    default_detail = "This gateway speaks HTTP/1.0 and HTTP/1.1."


class InternalFault(Refusal):
    code, status, title = "internal_fault", 500, "Internal fault"
    default_detail = "This is a fault of the gateway. It was logged with the request id."


ALL: tuple[type[Refusal], ...] = tuple(Refusal.__subclasses__())
