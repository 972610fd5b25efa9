"""Where webhooks may not go, at connect: what was public at save may be ours a second later."""

import socket
import ssl
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.portal_settings import WebhookSettings
from domain.webhooks.addresses import Blocked, Guard
from domain.webhooks.connecting import open_client
from tests.receivers import receiving

PUBLIC = "93.184.215.14"


class Rebinding:
    """A name server that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        """The next answer."""
        self.asked += 1
        return self.answers.pop(0)


async def test_ssrf_dns_rebinding_between_save_and_connect_is_blocked_and_no_packet_is_sent(tenant):
    async with receiving() as receiver:
        rebinding = Rebinding([PUBLIC], ["127.0.0.1"])
        strict = WebhookSettings(ports=(receiver.port,))
        guard = Guard(strict, rebinding)
        tenant.guard = guard
        await tenant.endpoint(f"https://rebind.example.com:{receiver.port}/")
        await tenant.emit()
        await tenant.deliverer(strict, guard).deliver_due()
    [row] = await tenant.deliveries()
    assert row["state"] == "waiting"
    assert "not of the public internet" in row["last_error"]
    assert receiver.connections == 0
    assert rebinding.asked == 2


async def test_ssrf_the_address_that_was_checked_is_the_one_that_is_connected_to(tenant, monkeypatch):
    """One look-up for one connection: a name that changes its answer behind the check gains nothing."""
    asked = []
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: asked.append(host) or real(host, *rest, **more)
    )
    async with receiving() as receiver:
        rebinding = Rebinding(["127.0.0.1"], ["10.0.0.1"])
        guard = Guard(WebhookSettings(allow_private=True), rebinding)
        tenant.guard = guard
        await tenant.endpoint(f"http://twice.example.com:{receiver.port}/")
        await tenant.emit()
        await tenant.deliverer(guard=guard).deliver_due()
        [row] = await tenant.deliveries()
    assert (row["state"], rebinding.asked) == ("delivered", 1)
    assert receiver.received[0].headers["host"] == f"twice.example.com:{receiver.port}", "the name is still told"
    assert not any(host in {"twice.example.com", b"twice.example.com"} for host in asked)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_ssrf_a_literal_that_came_past_the_save_is_blocked_at_connect(host):
    async with receiving() as receiver, open_client(Guard(WebhookSettings())) as client:
        with pytest.raises(Blocked):
            await client.post(f"http://{host}:{receiver.port}/")
    assert receiver.connections == 0


async def test_ssrf_one_private_address_among_public_ones_blocks_all():
    async with receiving() as receiver:
        guard = Guard(WebhookSettings(), Rebinding([PUBLIC, "127.0.0.1"]))
        async with open_client(guard) as client:
            with pytest.raises(Blocked):
                await client.post(f"http://both.example.com:{receiver.port}/")
    assert receiver.connections == 0


async def test_ssrf_proxies_of_the_environment_are_not_used(monkeypatch):
    async with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with open_client(Guard(WebhookSettings(allow_private=True))) as client:
            answer = await client.post(receiver.url)
    assert answer.status_code == 200
    assert (proxy.connections, len(receiver.received)) == (0, 1)


def certificate(folder, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a new certificate for `name`, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / f"{name}.pem"
    file.write_bytes(pem + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_over_https_the_name_of_the_url_is_checked_though_the_address_is_dialled(tmp_path):
    server, trusting = certificate(tmp_path, "hooks.example.com")
    settings = WebhookSettings(allow_private=True)
    async with receiving(tls=server) as receiver:
        here = Guard(settings, Rebinding(*[["127.0.0.1"]] * 3))
        async with open_client(here, trusting) as client:
            right = await client.post(f"https://hooks.example.com:{receiver.port}/")
            with pytest.raises(httpx2.ConnectError):
                await client.post(f"https://other.example.com:{receiver.port}/")
        async with open_client(here) as client:
            with pytest.raises(httpx2.ConnectError):
                await client.post(f"https://hooks.example.com:{receiver.port}/")
    assert right.status_code == 200
    assert len(receiver.received) == 1
