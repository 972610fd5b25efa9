"""Where webhooks may not go, at save (research 2.5, S: SSRF)."""

from ipaddress import ip_address

import pytest

from domain.faults import InvalidValue
from domain.portal_settings import WebhookSettings
from domain.webhooks.addresses import Blocked, Guard, is_public

STRICT = WebhookSettings()
PUBLIC = "93.184.215.14"


def guard(*answers: str, settings: WebhookSettings = STRICT) -> Guard:
    async def resolve(host: str, port: int) -> list[str]:
        return list(answers)

    return Guard(settings, resolve)


SSRF = [
    "http://127.0.0.1", "http://0/", "http://0x7f000001", "http://2130706433", "http://0177.0.0.1", "http://127.1",
    "http://[::1]", "http://[::ffff:169.254.169.254]", "http://[64:ff9b::a9fe:a9fe]", "http://[2002:a9fe:a9fe::]",
    "http://[fe80::1%25eth0]", "http://169.254.169.254/", "http://100.64.0.1", "http://metadata.google.internal",
    "http://localhost.", "http://user@10.0.0.1", "http://ok.test#@10.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("url", [*SSRF, *(url.replace("http://", "https://") for url in SSRF)])
async def test_ssrf_url_is_refused_at_save(url):
    # The resolver says that every name is public: what is refused is refused by the URL alone.
    with pytest.raises(InvalidValue):
        await guard(PUBLIC).check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://example.com/", "unix:/run/x.sock", "ftp://example.com/", "javascript:alert(1)",
        "//example.com/x", "https:example.com", "https://", "https:///path", "", "https://ex ample.com/",
        "https://example.com/\n", "https://example.com\\@10.0.0.1/", "https://example.com:0/", "https://example.com:22/",
        "https://example.com:99999/", "https://example.com:x/", "https://user:pw@example.com/", "https://:pw@example.com/",
        "https://example.com/#part", "https://example.com#", "https://ex\u00e4mple.com/", "https://-a.example.com/",
        "https://a..example.com/", "https://.example.com/", "https://example.com./", "https://intranet/",
        "https://printer.local/", "https://a.localhost/", "https://example.0x7f/", "https://1.2.3/", "https://[::1",
        "https://[v1.x]/", "https://e\u2024com.example/", "https://example.com/" + "a" * 2_000, "http://example.com/",
    ],
)  # fmt: skip
async def test_ssrf_malformed_url_is_refused_at_save(url):
    with pytest.raises(InvalidValue) as refused:
        await guard(PUBLIC).check_url(url)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://hooks.example.com:443/in?x=1&y=%20",
        "https://93.184.215.14/",
        "https://[2606:4700::1111]/",
    ],
)
async def test_a_public_url_is_taken_as_it_is_written(url):
    assert await guard(PUBLIC, "2606:4700::1111").check_url(url) == url


@pytest.mark.parametrize("address", ["10.0.0.7", "::1", "fd00::1", "169.254.169.254"])
async def test_ssrf_name_of_which_one_address_is_private_is_refused(address):
    with pytest.raises(InvalidValue, match="public internet"):
        await guard(PUBLIC, address).check_url("https://rebind.example.com/")


async def test_a_name_without_address_is_told():
    with pytest.raises(InvalidValue, match="no address"):
        await guard().check_url("https://nowhere.example.com/")


async def test_a_resolver_that_hangs_or_fails_is_told():
    async def fail(host, port):
        raise TimeoutError

    with pytest.raises(InvalidValue, match="no address"):
        await Guard(STRICT, fail).check_url("https://slow.example.com/")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1:0:0:f5ff:fffe", "2001:db8::1", "fe80::1", "fe80::1%eth0",
        "192.0.0.8", "192.0.0.192", "::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "64:ff9b::c000:c0", "3fff::1", "5f00::1",
        "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "100::1", "2606:4700::1111%eth0",
    ],
)  # fmt: skip
def test_ssrf_address_is_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_an_address_of_the_internet_is_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/hook", "http://localhost:8000/", "http://10.0.0.1/", "https://x.internal/"]
)
async def test_with_allow_private_a_developer_reaches_their_own_machine(url):
    assert await guard(settings=WebhookSettings(allow_private=True)).check_url(url) == url


@pytest.mark.parametrize("url", ["file:///x", "http://u@127.0.0.1/", "http://127.1/", "http://0x7f000001/"])
async def test_even_then_a_url_is_http_and_written_plainly(url):
    with pytest.raises(InvalidValue):
        await guard(settings=WebhookSettings(allow_private=True)).check_url(url)


async def test_addresses_of_a_literal_are_checked_without_asking_anybody():
    async def never(host, port):
        raise AssertionError

    with pytest.raises(Blocked):
        await Guard(STRICT, never).addresses("127.0.0.1", 443)
    assert await Guard(STRICT, never).addresses("1.1.1.1", 443) == ["1.1.1.1"]
