from pathlib import Path

import pytest

from batchlab.studies.mounts import network_file_system, read_mounts
from batchlab.studies.store_opening import open_store

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
nas:/home /home nfs4 rw,hard 0 0
/dev/sdb1 /home/ann/local xfs rw 0 0
ann@far:/ /home/ann/my\\040far\\040files fuse.sshfs rw 0 0
scratch@tcp:/s /scratch lustre rw 0 0
server:/data /data nfs rw 0 0
/dev/sdc1 /data ext4 rw 0 0
half a line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/batchlab.db", None),
        ("/home/ann/batchlab.db", "nfs4"),
        ("/home/ann/local/batchlab.db", None),
        ("/home/ann/my far files/batchlab.db", "fuse.sshfs"),
        ("/home/ann/my far files too/batchlab.db", "nfs4"),
        ("/homely/batchlab.db", None),
        ("/scratch/deep/down/batchlab.db", "lustre"),
        ("/data/batchlab.db", None),
    ],
)
def test_the_innermost_mount_decides(path, kind):
    assert network_file_system(Path(path), MOUNTS) == kind


def test_a_system_that_does_not_say_is_not_suspected(monkeypatch, tmp_path):
    monkeypatch.setattr("batchlab.studies.mounts.MOUNTS", tmp_path / "none")
    assert network_file_system(tmp_path, read_mounts()) is None


def test_a_store_on_a_network_file_system_is_advised_against(monkeypatch, tmp_path):
    said, link = [], tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.setattr("batchlab.studies.mounts.MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/x {tmp_path} cifs rw 0 0\n")
    open_store(link / "batchlab.db", on_notice=said.append).close()
    assert said == [
        f"The store {link}/batchlab.db lies on a network file system (cifs), where an SQLite file can be damaged when "
        "several machines use it; keep it on a local disk, or in a database: `--store "
        "postgresql+psycopg://USER@HOST/DATABASE`."
    ]


def test_a_store_on_a_local_disk_is_nothing_to_talk_about(monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr("batchlab.studies.mounts.MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text("/dev/sda1 / ext4 rw 0 0\n")
    open_store(tmp_path / "batchlab.db", on_notice=said.append).close()
    assert said == []
