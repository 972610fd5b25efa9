import subprocess
import sys


def test_a_worker_has_no_client_of_the_log_store_and_none_for_http():
    code = (
        "import sys, gateway.app, gateway.server.worker\n"
        "sys.exit(any(name == 'httpx2' or name == 'domain.log_store.shipping' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
