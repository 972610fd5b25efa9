"""Credits as people write them (`0.1`) and as they are counted: in whole micro-credits (millionths)."""

import re
from decimal import Decimal

from domain.faults import InvalidValue

MICRO = 1_000_000
LARGEST_CREDITS = 1_000_000_000
DECIMAL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")


def parse_credits(text: str) -> int:
    """Micro-credits of a decimal text with at most six decimals, exactly. Raises InvalidValue."""
    amount = Decimal(text) if DECIMAL.fullmatch(text) else None
    if amount is None or amount > LARGEST_CREDITS:
        raise InvalidValue(
            f"'{text[:40]}' is no amount of credits: write 0.1, with at most six decimals and no sign,"
            f" not over {LARGEST_CREDITS}."
        )
    return int(amount * MICRO)


def credits_text(micro: int) -> str:
    """Micro-credits as a decimal text without needless zeros: 100000 is `0.1`."""
    whole, fraction = divmod(abs(micro), MICRO)
    text = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micro < 0 else text
