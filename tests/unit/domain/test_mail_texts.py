"""Templates and values: words stay words."""

import pytest

from domain.mail_texts import FOLDER, BrokenMail, render

ALWAYS = {"product": "paid <endpoint>", "base_url": "http://localhost:3000"}


class Anything(dict):
    """A value for every name: links are links, the rest is what an attacker writes."""

    def __contains__(self, name):
        return True

    def __missing__(self, name):
        if name.endswith(("link", "url")):
            return "https://example.com/x"
        return '"><script>alert(1)</script> {link} [Click](https://evil.example)\r\nBcc: x@y\u202e'


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.txt")))
def test_every_mail_is_whole_and_escapes_what_it_is_given(name):
    mail = render(name, Anything(ALWAYS))
    assert mail.subject
    assert "\n" not in mail.subject
    assert "<script" not in mail.html
    assert 'href="https://evil' not in mail.html
    assert "\nBcc" not in mail.text
    assert "\u202e" not in mail.text
    assert "paid &lt;endpoint&gt;" in mail.html


def test_a_button_leads_to_the_web_and_nowhere_else():
    for link in ("javascript:alert(1)", "//evil", "http://x y", ""):
        with pytest.raises(BrokenMail, match="leads nowhere"):
            render("verify_email", {**ALWAYS, "email": "a@b", "link": link})


def test_names_of_templates_are_no_paths():
    for name in ("../secrets", "", "verify_email.txt", "nothing"):
        with pytest.raises(BrokenMail, match="There is no mail"):
            render(name, ALWAYS)
