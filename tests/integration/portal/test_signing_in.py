"""Into a session and to the right place afterwards, whatever kind of sign-in it was."""

import pytest

from portal.web.signing_in import START, safe_next


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "///evil.example", "https:evil.example", "https://evil.example/", "/\\evil.example",
        "\\\\evil.example", "/\tevil", "/a\r\nset-cookie: x=1", "/\x00", " /a", "javascript:alert(1)", "evil", "", "/ä",
        "/" + "a" * 2_000, "/sign-out", "/sign-in?next=/sign-in", "/api/organizations", None, ["/a", "/b"],
    ],
)  # fmt: skip
def test_a10_no_sign_in_leads_to_another_site(path):
    assert safe_next(path) == START


@pytest.mark.parametrize("path", ["/", "/o/acme/keys?state=live&page=2", "/account#devices", "/a%2Fb"])
def test_a10_own_paths_are_kept(path):
    assert safe_next(path) == path
