"""Checks of the settings themselves."""

from cli.checkup.finding import Finding, judge
from domain.settings import Settings


def check_pepper(settings: Settings) -> Finding:
    """There is one, and it is not a pattern. Its length is checked when the settings are read."""
    peppers = settings.keys.pepper_by_version
    advice = "Make one with `paid-endpoint doctor --new-pepper`, put it into KEY_PEPPERS and keep it safe."
    if not peppers:
        return Finding("fail", "pepper", "KEY_PEPPERS is empty", advice)
    weak = [version for version, value in peppers.items() if len(set(value)) < 12]
    detail = f"version {max(peppers)} in use, {len(peppers)} known"
    if weak:
        detail = f"version {weak[0]} is not random"
    return judge("pepper", detail, fails=bool(weak), advice=advice)
