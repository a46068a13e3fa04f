"""A slow disk: a FUSE file system that passes everything on to a directory, but takes its time.

Every write and every sync of a file waits; while the file STALL exists they wait until it is gone,
like a disk that has stopped answering. Runs in the foreground until it is unmounted.

    slow_disk.py MOUNTPOINT DIRECTORY WAIT_MS STALL
"""

import os
import sys
import time

from fusepy import FUSE, Operations


class SlowDisk(Operations):
    use_ns = True

    def __init__(self, directory, wait_s, stall):
        self.directory = directory
        self.wait_s = wait_s
        self.stall = stall

    def _path(self, path):
        return os.path.join(self.directory, path.lstrip("/"))

    def _wait(self):
        time.sleep(self.wait_s)
        while os.path.exists(self.stall):
            time.sleep(0.01)

    def write(self, path, data, offset, fh):
        self._wait()
        return os.pwrite(fh, data, offset)

    def fsync(self, path, datasync, fh):
        self._wait()
        os.fdatasync(fh)

    # The rest passes at once, metadata too: an engine with one thread opens and renames files there.

    def getattr(self, path, fh=None):
        status = os.fstat(fh) if fh is not None else os.lstat(self._path(path))
        names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks")
        values = {name: getattr(status, name) for name in names}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            values[name] = getattr(status, f"{name}_ns")
        return values

    def create(self, path, mode, fi=None):
        return os.open(self._path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(self._path(path), flags)

    def release(self, path, fh):
        os.close(fh)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(fh if fh is not None else self._path(path), length)

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self._path(path))]

    def mkdir(self, path, mode):
        os.mkdir(self._path(path), mode)

    def rmdir(self, path):
        os.rmdir(self._path(path))

    def unlink(self, path):
        os.unlink(self._path(path))

    def rename(self, old, new):
        os.rename(self._path(old), self._path(new))

    def chmod(self, path, mode):
        os.chmod(self._path(path), mode)

    def statfs(self, path):
        status = os.statvfs(self._path(path))
        return {name: getattr(status, name) for name in dir(status) if name.startswith("f_")}


if __name__ == "__main__":
    mountpoint, directory, wait_ms, stall = sys.argv[1:]
    FUSE(SlowDisk(directory, float(wait_ms) / 1e3, stall), mountpoint, foreground=True,
         big_writes=True)
