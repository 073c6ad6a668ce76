"""Whether a file lies on a network file system, where SQLite's locks cannot be relied on."""

import re
from pathlib import Path

from batchlab.studies.store_addresses import SERVER_EXAMPLE

MOUNTS = Path("/proc/mounts")

# As Linux names them in /proc/mounts.
NETWORK_FILE_SYSTEMS = frozenset(
    "9p afs beegfs ceph cifs dvs fhgfs fuse.ceph-fuse fuse.gcsfuse fuse.glusterfs fuse.juicefs fuse.mfs fuse.rclone "
    "fuse.s3fs fuse.sshfs glusterfs gpfs lustre nfs nfs4 orangefs panfs pvfs2 smb3 smbfs wekafs".split()
)


def read_mounts() -> str:
    """Return what is mounted where, "" on systems that do not say."""
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def network_file_system(path: Path, mounts: str) -> str | None:
    """Return the name of the network file system that a file is on, None where it is on none.

    Args:
        path: an absolute path without symbolic links; it need not exist.
        mounts: a line a mount, as in /proc/mounts (proc(5)): device, folder, file system, options.

    >>> network_file_system(Path("/home/ann/batchlab.db"), "nas:/home /home nfs4 rw 0 0")
    'nfs4'
    """
    found, kind = Path("/"), ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        folder = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1]))
        # Of two on one folder the later one hides the earlier.
        if path.is_relative_to(folder) and folder.is_relative_to(found):
            found, kind = folder, fields[2]
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def network_advice(path: Path, mounts: str) -> str | None:
    """Return why a store should not be at `path`, and where else it could be; None where it may."""
    kind = network_file_system(path.resolve(), mounts)
    if kind is None:
        return None
    return (
        f"The store {path} lies on a network file system ({kind}), where an SQLite file can be damaged when several "
        f"machines use it; keep it on a local disk, or in a database: `--store {SERVER_EXAMPLE}`."
    )
