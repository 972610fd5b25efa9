"""The files of docs/deploy for tests: where they are, and an nginx that runs with ours."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.gateways import ROOT

DEPLOY = ROOT / "docs/deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
METRIC = re.compile(r"\bpaid_endpoint_\w+")


def certificate(folder: Path) -> None:
    """`fullchain.pem` and `key.pem` that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)


def nginx_configuration(folder: Path, *, tls: int, plain: int, gateway: int, portal: int) -> Path:
    """Our nginx.conf with these ports, its files in `folder`."""
    certificate(folder)
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("listen 443 ", f"listen 127.0.0.1:{tls} "),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 80 ", f"listen 127.0.0.1:{plain} "),
        ("127.0.0.1:9990", f"127.0.0.1:{gateway}"),
        ("127.0.0.1:3000", f"127.0.0.1:{portal}"),
        ("/etc/paid-endpoint/tls", str(folder)),
        ("/run/nginx.pid", str(folder / "nginx.pid")),
        ("/var/log/nginx", str(folder)),
        ("worker_processes auto;", "worker_processes 1;\ndaemon off;"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    paths = "".join(
        f"    {name}_temp_path {folder};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(text.replace("http {\n", "http {\n" + paths, 1))
    return file
