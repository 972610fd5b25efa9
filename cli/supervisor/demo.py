"""What `demo.env` says: where everything is and who may use it. API keys stand in clear nowhere else."""

from collections.abc import Mapping

from cli.supervisor.env_file import read_env_file, write_env_file
from cli.supervisor.failures import SupervisorError
from cli.supervisor.instance import Instance

KEY_NAMES = ("API_KEY", "FREE_API_KEY", "BENCH_API_KEY")


class DemoFile:
    """`demo.env` of an instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.path = instance.directory / "demo.env"
        before = read_env_file(self.path)
        self.keys = {name: before[name] for name in KEY_NAMES if before.get(name)}
        """The keys that an earlier start wrote; a lost file is an empty one."""

    def write(self, seeded: Mapping[str, str]) -> dict[str, str]:
        """Write the file; `seeded` are the people's addresses and all keys. Returns all pairs."""
        instance, ports = self._instance, self._instance.ports
        pairs = {
            "GATEWAY_URL": f"http://127.0.0.1:{ports.gateway}",
            "PORTAL_URL": f"http://localhost:{ports.portal}",
            "ADMIN_URL": f"http://127.0.0.1:{ports.admin}",
            "USER_EMAIL": seeded["USER_EMAIL"],
            "USER_PASSWORD": instance.pairs["USER_PASSWORD"],
            "ADMIN_EMAIL": seeded["ADMIN_EMAIL"],
            "ADMIN_PASSWORD": instance.pairs["ADMIN_PASSWORD"],
            "DATABASE_URL": instance.pairs["DATABASE_URL"],
            "REDIS_URL": instance.pairs["REDIS_URL"],
            **{name: seeded[name] for name in KEY_NAMES},
        }
        try:
            write_env_file(self.path, pairs, "Written by `paid-endpoint up`; the demo's addresses, people and keys.")
        except OSError as error:
            raise SupervisorError(
                f"{self.path} cannot be written: {error.strerror}.", "Make room or rights there, then start again."
            ) from error
        return pairs
