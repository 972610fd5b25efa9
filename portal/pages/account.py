"""A person's own account: their name, and how they want to see and hear of things."""

from dataclasses import dataclass, replace
from typing import ClassVar

from starlette.responses import Response

from domain.faults import ChangedMeanwhile, Fault
from domain.identity.preferences import THEMES, Preferences, change_preferences, fetch_preferences, time_zones
from domain.identity.profiles import Profile, change_name, fetch_profile
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import own_session
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

THEME_LABELS = {"system": "As the system", "light": "Light", "dark": "Dark"}


@dataclass(frozen=True, kw_only=True)
class AccountPage(Page):
    """Any page of the account: `tab` is the one that is shown as current."""

    tab: ClassVar[str]
    title: str = "Your account"


@dataclass(frozen=True, kw_only=True)
class ProfilePage(AccountPage):
    """`name` and `settings` are what stands in the fields: also what was refused."""

    template: ClassVar[str] = "account_profile.html"
    tab: ClassVar[str] = "/account"
    profile: Profile
    name: str
    settings: Preferences
    themes: tuple[tuple[str, str], ...] = tuple(THEME_LABELS.items())
    time_zones: tuple[tuple[str, str], ...]


async def show(visit: Visit) -> Page:
    """The account as it is."""
    return await _page(visit)


async def rename(visit: Visit) -> Page | Response:
    """Give the person another name."""
    name = str(visit.form.get("name", ""))
    try:
        async with visit.change():
            await change_name(visit.connection, own_session(visit).user_id, visit.actor, name)
    except Fault as fault:
        return replace(await _page(visit), name=name, error=str(fault), status=422)
    return see_other("/account", done="saved")


async def change_settings(visit: Visit) -> Page | Response:
    """Set all settings; told if they were changed elsewhere since the form was shown."""
    user_id = own_session(visit).user_id
    before = await fetch_preferences(visit.connection, user_id)
    wanted = _wanted(visit)
    try:
        async with visit.change():
            await change_preferences(visit.connection, user_id, visit.actor, wanted, before=before)
    except ChangedMeanwhile as fault:
        return replace(await _page(visit), error=str(fault), status=409)
    except Fault as fault:
        return replace(await _page(visit), settings=wanted, error=str(fault), status=422)
    return see_other("/account", done="saved")


def _wanted(visit: Visit) -> Preferences:
    form = visit.form
    version = str(form.get("version", ""))
    return Preferences(
        version=int(version) if version.isdecimal() and len(version) < 10 else -1,
        theme=str(form.get("theme", THEMES[0])),
        time_zone=str(form.get("time_zone", "UTC")),
        notify_new_device="notify_new_device" in form,
        notify_usage="notify_usage" in form,
        notify_news="notify_news" in form,
    )


async def _page(visit: Visit) -> ProfilePage:
    user_id = own_session(visit).user_id
    profile = await fetch_profile(visit.connection, user_id)
    settings = await fetch_preferences(visit.connection, user_id)
    zones = tuple((name, name.replace("_", " ")) for name in time_zones())
    if settings.time_zone not in time_zones():
        zones = ((settings.time_zone, settings.time_zone), *zones)
    return ProfilePage(profile=profile, name=profile.name, settings=settings, time_zones=zones)


PAGES = (
    PageRoute("/account", show, audience=Audience.SIGNED_IN),
    PageRoute("/account/name", rename, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/settings", change_settings, "POST", audience=Audience.SIGNED_IN),
)
