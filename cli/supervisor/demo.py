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
        self.existed = self.path.exists()
        self._before = read_env_file(self.path)

    @property
    def has_keys(self) -> bool:
        """Whether the plaintexts of the demo keys are still known."""
        return all(self._before.get(name) for name in KEY_NAMES)

    def write(self, seeded: Mapping[str, str]) -> dict[str, str]:
        """Write the file; `seeded` are the names that the seed knows (people, and keys made now). Returns all pairs."""
        instance, ports = self._instance, self._instance.ports
        keys = {name: seeded.get(name) or self._before.get(name, "") for name in KEY_NAMES}
        pairs = {
            "GATEWAY_URL": f"http://127.0.0.1:{ports.gateway}",
            "PORTAL_URL": f"http://127.0.0.1:{ports.portal}",
            "ADMIN_URL": f"http://127.0.0.1:{ports.admin}",
            "USER_EMAIL": seeded["USER_EMAIL"],
            "USER_PASSWORD": instance.pairs["USER_PASSWORD"],
            "ADMIN_EMAIL": seeded["ADMIN_EMAIL"],
            "ADMIN_PASSWORD": instance.pairs["ADMIN_PASSWORD"],
            "DATABASE_URL": instance.pairs["DATABASE_URL"],
            "REDIS_URL": instance.pairs["REDIS_URL"],
            **keys,
        }
        try:
            write_env_file(self.path, pairs, "Written by `paid-endpoint up`; the demo's addresses, people and keys.")
        except OSError as error:
            raise SupervisorError(
                f"{self.path} cannot be written: {error.strerror}.", "Make room or rights there, then start again."
            ) from error
        return pairs
