"""The edges' configurations: what nginx says of ours, and what both must say of addresses and slow heads."""

import shutil
import subprocess

import pytest

from tests.deploy import DEPLOY, NGINX, certificate, nginx_configuration

NGINX_TEXT = (DEPLOY / "nginx.conf").read_text()
HAPROXY_PROGRAM = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
HAPROXY = [line.strip() for line in (DEPLOY / "haproxy.cfg").read_text().splitlines()]


@pytest.mark.skipif(not NGINX, reason="nginx is not here")
def test_nginx_takes_it(tmp_path):
    file = nginx_configuration(tmp_path, tls=18443, plain=18080, gateway=9990, portal=3000)
    said = subprocess.run(
        [NGINX, "-t", "-c", str(file), "-p", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr


def test_an_address_is_set_and_never_added_to():
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in NGINX_TEXT
    assert "$proxy_add_x_forwarded_for" not in NGINX_TEXT
    assert "http-request set-header X-Forwarded-For %[src]" in HAPROXY
    assert "option forwardfor" not in HAPROXY
    assert 'proxy_set_header Forwarded "";' in NGINX_TEXT
    assert "http-request del-header Forwarded" in HAPROXY


def test_no_key_can_reach_a_log():
    assert "$http_" not in NGINX_TEXT.replace("$http_upgrade", "").replace("`$http_*`", "")
    assert not any(line.startswith(("capture request", "http-request capture")) for line in HAPROXY)


def test_haproxy_names_backends_and_sections_that_exist():
    words = [line.split() for line in HAPROXY if line and not line.startswith("#")]
    made = {line[1] for line in words if line[0] in {"backend", "frontend"} and len(line) > 1}
    assert {line[1] for line in words if line[0] in {"use_backend", "default_backend"}} <= made
    assert {line[0] for line in words if line[0] in {"global", "defaults", "frontend", "backend"}} == {
        "global", "defaults", "frontend", "backend",
    }  # fmt: skip
    assert "timeout http-request 10s" in HAPROXY
    assert "retry-on conn-failure" in HAPROXY


@pytest.mark.skipif(not HAPROXY_PROGRAM, reason="haproxy is not here")
def test_haproxy_takes_it(tmp_path):
    certificate(tmp_path)
    both = (tmp_path / "fullchain.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge/site.pem").write_bytes(both)
    file = tmp_path / "haproxy.cfg"
    text = (DEPLOY / "haproxy.cfg").read_text()
    assert "/etc/paid-endpoint/tls/" in text
    # Who is nobody in particular may open few files: what is checked is the form.
    file.write_text(
        text.replace("/etc/paid-endpoint/tls/", f"{tmp_path}/edge/").replace("maxconn 20000", "maxconn 200")
    )
    said = subprocess.run([HAPROXY_PROGRAM, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "[WARNING]" not in said.stderr
