"""What an operator can do about a refused request, by how it was refused."""

from dataclasses import dataclass
from urllib.parse import urlencode

from admin.actions.table import BY_SLUG
from admin.web.visit import Visit
from domain.log_reading import LogEntry

REMEDIES: dict[str, tuple[tuple[str, str], ...]] = {
    "invalid_api_key": (("mint-key", "organization"),),
    "out_of_credits": (("grant-credits", "organization"),),
    "spend_cap_reached": (("set-spend-caps", "organization"),),
    "organization_suspended": (("restore-organization", "organization"),),
    "no_subscription": (("change-plan", "organization"), ("extend-subscription", "organization")),
    "plan_too_low": (("change-plan", "organization"),),
    "service_disabled": (("enable-service", "service"),),
    "rate_limited": (("change-plan", "organization"),),
    "quota_exceeded": (("change-plan", "organization"),),
    "too_many_at_once": (("change-plan", "organization"),),
}
"""By a refusal's code: actions, each with the field of its form that the request knows."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A link to an action's form."""

    label: str
    path: str


def remedies_for(visit: Visit, request: LogEntry) -> tuple[Remedy, ...]:
    """Those that the operator's role may carry out and whose field the request knows."""
    known = {"organization": request.organization, "service": request.service}
    found = []
    for slug, field in REMEDIES.get(request.refusal or "", ()):
        action, value = BY_SLUG[slug], known[field]
        if value and visit.may(action.right):
            found.append(Remedy(action.title, f"{action.path}?{urlencode({field: value})}"))
    return tuple(found)
