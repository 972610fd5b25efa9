"""What anybody sees: what there is to call, and what it costs."""

from dataclasses import dataclass
from typing import ClassVar

from starlette.responses import Response

from domain.price_list import PriceList, read_price_list
from domain.service_catalog import CatalogService, list_catalog
from portal.web.admission import Audience
from portal.web.examples import PLACE_OF_KEY, first_call
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

MOST_CARDS = 6


@dataclass(frozen=True, kw_only=True)
class LandingPage(Page):
    """The way in. `services` are the featured ones, or the first."""

    template: ClassVar[str] = "landing.html"
    curl: str
    services: tuple[CatalogService, ...]
    number_of_services: int
    prices: PriceList
    bonus_micro: int
    sign_up_open: bool


@dataclass(frozen=True, kw_only=True)
class PricingPage(Page):
    """Every public plan, and what operations cost on each."""

    template: ClassVar[str] = "pricing.html"
    prices: PriceList
    bonus_micro: int
    sign_up_open: bool


async def land(visit: Visit) -> Page | Response:
    """The way in; who is signed in is through it."""
    if visit.session is not None:
        return see_other("/organizations")
    services = await list_catalog(visit.connection, None)
    ready = [service for service in services if not service.coming_soon]
    shown = sorted(services, key=lambda each: "featured" not in each.badges)[:MOST_CARDS]
    return LandingPage(
        title=visit.settings.portal.name,
        curl=first_call(gateway_url(visit), tuple(shown), (), PLACE_OF_KEY),
        services=tuple(shown),
        number_of_services=len(ready),
        prices=await read_price_list(visit.connection),
        bonus_micro=visit.settings.credits.sign_up_bonus_micro,
        sign_up_open=visit.settings.portal.sign_up_open,
    )


async def show_prices(visit: Visit) -> Page:
    """The price list."""
    services = await list_catalog(visit.connection, None)
    return PricingPage(
        title="Pricing",
        prices=await read_price_list(visit.connection, services),
        bonus_micro=visit.settings.credits.sign_up_bonus_micro,
        sign_up_open=visit.settings.portal.sign_up_open,
    )


PAGES = (
    PageRoute("/", land, audience=Audience.ANYONE, acting=True),
    PageRoute("/pricing", show_prices, audience=Audience.ANYONE, acting=True),
)
