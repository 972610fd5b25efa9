"""`.env.example` and docs/settings.md say what the settings model says.

To write them anew: `python -m tests.house.test_settings_documented`.
"""

from pathlib import Path

from cli.setting_rows import env_example, setting_rows, settings_page
from domain.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = {".env.example": env_example, "docs/settings.md": settings_page}


def in_step(settings: Settings) -> list[str]:
    return [name for name, make in PAGES.items() if (ROOT / name).read_text() != make(settings)]


def test_pages_are_in_step_with_the_model():
    assert in_step(load_settings()) == [], "write them anew: python -m tests.house.test_settings_documented"


def test_every_setting_is_described():
    assert [row.name for row in setting_rows(load_settings()) if not row.description] == []


def test_names_are_unique():
    names = [row.name for row in setting_rows(load_settings())]
    assert len(names) == len(set(names))


if __name__ == "__main__":
    for page, text_of in PAGES.items():
        (ROOT / page).write_text(text_of(load_settings()))
