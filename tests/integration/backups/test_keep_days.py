"""`backup --keep-days`: older backups go after one was made, and never before."""

from tests.backups import command

OLD = "paid-endpoint-20200101T000000Z.zip"


async def test_an_older_backup_goes_once_a_new_one_is_there(fresh_database_url, tmp_path):
    (tmp_path / OLD).write_text("")
    failed = await command("postgresql://nobody@127.0.0.1:1/none", "backup", tmp_path, "--keep-days", 30)
    assert failed.status == 1
    assert [file.name for file in tmp_path.iterdir()] == [OLD]
    made = (await command(fresh_database_url, "backup", tmp_path, "--keep-days", 30, "--json")).data
    assert made["deleted"] == [str(tmp_path / OLD)]
    assert [str(file) for file in tmp_path.iterdir()] == [made["file"]]


async def test_a_file_has_no_older_ones(fresh_database_url, tmp_path):
    ran = await command(fresh_database_url, "backup", tmp_path / "a.zip", "--keep-days", 30)
    assert (ran.status, ran.err.strip()) == (
        1,
        "Error: --keep-days is for a directory, whose older backups it deletes.",
    )
    assert list(tmp_path.iterdir()) == []


async def test_more_days_than_there_are_dates_are_refused_before_a_backup_is_made(fresh_database_url, tmp_path):
    (tmp_path / OLD).write_text("")
    ran = await command(fresh_database_url, "backup", tmp_path, "--keep-days", 1_000_000)
    assert (ran.status, "Traceback" in ran.err) == (2, False)
    assert [file.name for file in tmp_path.iterdir()] == [OLD]
