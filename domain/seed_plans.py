"""The plans that a new installation begins with."""

from dataclasses import dataclass

UNREACHABLE_AMOUNT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """A plan as `seed` makes it when no plan has its slug."""

    slug: str
    name: str
    description: str
    limits: tuple[str, ...]
    price_cents: int
    sort_order: int
    public: bool = True


SEED_PLANS = (
    SeedPlan("free", "Free", "To try things out.", ("1000/hour", "10000/day"), 0, 10),
    SeedPlan("pro", "Pro", "For products that are growing.", ("10000/hour", "100000/day"), 4_900, 20),
    SeedPlan("ultra", "Ultra", "For products that are big.", ("100000/hour", "1000000/day"), 19_900, 30),
    SeedPlan("enterprise", "Enterprise", "For everything at once.", ("1000000/hour", "10000000/day"), 99_900, 40),
    SeedPlan(
        "bench",
        "Bench",
        "For measuring: every policy works, no limit is reached.",
        tuple(f"{UNREACHABLE_AMOUNT}/{period}" for period in ("second", "minute", "hour", "day")),
        0,
        1_000,
        public=False,
    ),
)
