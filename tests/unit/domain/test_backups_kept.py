"""Which backups of a folder are deleted: old ones by their names, and nothing else."""

from datetime import UTC, datetime

from domain.backups.keeping import NAME, delete_older

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_only_files_that_are_called_as_older_backups_go(tmp_path):
    old, just = "paid-endpoint-20260301T115959Z.zip", f"{MOMENT:{NAME}}"
    kept = [just, "paid-endpoint-20260302T000000Z.zip", "paid-endpoint-1.zip", "mine-20200101T000000Z.zip", "deeper"]
    (tmp_path / "deeper").mkdir()
    deeper = tmp_path / "deeper" / old
    for file in (tmp_path / old, deeper, *(tmp_path / name for name in kept if name != "deeper")):
        file.write_text("")
    assert delete_older(tmp_path, MOMENT) == [tmp_path / old]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)
    assert deeper.exists()
    assert delete_older(tmp_path, MOMENT) == []


def test_a_folder_that_is_called_as_one_stays(tmp_path):
    (tmp_path / "paid-endpoint-20260301T115959Z.zip").mkdir()
    assert delete_older(tmp_path, MOMENT) == []
