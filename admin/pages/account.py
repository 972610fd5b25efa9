"""An operator's own account: the second factor and its recovery codes. Everything else of it is in the portal."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from admin.web.admission import Audience
from admin.web.layout import Page
from admin.web.page import PageRoute, see_other
from admin.web.rendering import told
from admin.web.visit import Visit
from domain.faults import Fault, Forbidden
from domain.identity.authenticators import (
    NewFactor,
    begin_factor,
    confirm_factor,
    disable_factor,
    pending_factor,
    renew_codes,
)
from domain.identity.proof import check_code, check_password

PATH = "/account"


@dataclass(frozen=True, kw_only=True)
class AccountPage(Page):
    """`factor` is the secret that waits for its first code."""

    template: ClassVar[str] = "account.html"
    title: str = "Your account"
    factor: NewFactor | None
    has_factor: bool
    required: bool


@dataclass(frozen=True, kw_only=True)
class CodesPage(Page):
    """Recovery codes, this once."""

    template: ClassVar[str] = "account_codes.html"
    title: str = "Your recovery codes"
    codes: list[str]


async def show(visit: Visit) -> Page:
    """What stands between a password and the back office."""
    here = visit.here
    factor = None
    if not here.has_factor:
        factor = await pending_factor(
            visit.connection, visit.settings.secrets, here.operator.id, here.operator.email, _product(visit)
        )
    return AccountPage(factor=factor, has_factor=here.has_factor, required=visit.settings.admin.factor_required)


async def begin(visit: Visit) -> Page | Response:
    """Make a new secret, for who shows the password again."""
    operator = visit.operator
    try:
        await check_password(
            visit.connection, visit.services.throttle, operator.id, str(visit.form.get("password", ""))
        )
    except Fault as fault:
        return told(visit, await show(visit), fault)
    await begin_factor(
        visit.connection, visit.settings.secrets, operator.id, operator.email, _product(visit), visit.actor
    )
    return see_other(PATH)


async def confirm(visit: Visit) -> Page | Response:
    """Put it in force by its first code and show the recovery codes."""
    try:
        async with visit.change():
            codes = await confirm_factor(
                visit.connection, visit.settings.secrets, visit.here.session, visit.actor, visit.text("code")
            )
    except Fault as fault:
        return told(visit, await show(visit), fault)
    return CodesPage(codes=codes)


async def renew(visit: Visit) -> Page | Response:
    """New recovery codes, for who shows a code."""
    try:
        await _check_code(visit)
    except Fault as fault:
        return told(visit, await show(visit), fault)
    return CodesPage(codes=await renew_codes(visit.connection, visit.operator.id, visit.actor))


async def switch_off(visit: Visit) -> Page | Response:
    """No second factor any more, where none is required, for who shows a code."""
    try:
        if visit.settings.admin.factor_required:
            raise Forbidden(
                "A second factor is required here. To move it to another device, switch it off by a colleague."
            )
        await _check_code(visit)
    except Fault as fault:
        return told(visit, await show(visit), fault)
    await disable_factor(visit.connection, visit.settings.secrets, visit.operator.id, visit.actor)
    return see_other(PATH, done="factor_off")


async def _check_code(visit: Visit) -> None:
    await check_code(
        visit.connection, visit.services.throttle, visit.settings.secrets, visit.operator.id, visit.text("code")
    )


def _product(visit: Visit) -> str:
    return f"{visit.settings.portal.name} admin"


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute(f"{PATH}/factor", begin, "POST", audience=Audience.SIGNED_IN),
    PageRoute(f"{PATH}/factor/confirm", confirm, "POST", audience=Audience.SIGNED_IN),
    PageRoute(f"{PATH}/factor/codes", renew, "POST", audience=Audience.SIGNED_IN),
    PageRoute(f"{PATH}/factor/off", switch_off, "POST", audience=Audience.SIGNED_IN),
)
