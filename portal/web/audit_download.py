"""The audit as a file, for the page and for the API: streamed, so that its length does not matter."""

from contextlib import ExitStack
from datetime import UTC, datetime

from domain.access import Permission
from domain.audit_export import export_audit
from domain.audit_reading import AuditFilter
from portal.exporting import MEDIA_TYPES, ExportResponse
from portal.web.visit import Visit


def audit_file(visit: Visit, which: AuditFilter) -> ExportResponse:
    """The answer. Raises Forbidden, InvalidValue and TooManyTries before its first byte."""
    visit.access.require(Permission.AUDIT_VIEW)
    name = f"audit-{visit.access.slug}-{datetime.now(UTC):%Y-%m-%d}.csv"
    access, which = visit.access, which.checked()
    with ExitStack() as held:
        held.enter_context(visit.services.exports.place(access.organization_id, access.user_id))
        body = export_audit(visit.services.database, access, which)
        return ExportResponse(body, held.pop_all(), MEDIA_TYPES["csv"], name)
    raise AssertionError
