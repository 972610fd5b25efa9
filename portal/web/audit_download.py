"""The audit as a file, for the page and for the API: streamed, so that its length does not matter."""

from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from domain.access import Permission
from domain.audit_export import export_audit
from domain.audit_reading import AuditFilter
from portal.web.visit import Visit


def audit_file(visit: Visit, which: AuditFilter) -> StreamingResponse:
    """The answer. Raises Forbidden and InvalidValue before its first byte."""
    visit.access.require(Permission.MANAGE)
    name = f"audit-{visit.access.slug}-{datetime.now(UTC):%Y-%m-%d}.csv"
    return StreamingResponse(
        export_audit(visit.services.database, visit.access, which.checked()),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
