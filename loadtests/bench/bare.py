"""Serve our own bare pass-through: same supervisor, same server, `gateway.bare` instead of the product."""

import sys

from domain.settings import load_settings
from gateway.server.supervisor import run

if __name__ == "__main__":
    sys.exit(run(load_settings(), "gateway.bare:create_app"))
