"""Fetches ``libchdb.so``, which holds ClickHouse's own TCP and HTTP handlers, from the npm package that chDB publishes."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "@chdb/lib-linux-x64-gnu", "26.7.3-stable.1"
# As the package index publishes it (dist.integrity).
SHA512 = "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="
CACHE = Path(__file__).resolve().parents[2] / ".listener" / VERSION


def library(cache: Path = CACHE) -> Path:
    """The path of the library; fetched with npm the first time.

    :raises RuntimeError: there is no npm, the package cannot be had, or it is not the one that was pinned.
    """
    found = cache / "libchdb.so"
    if found.is_file():
        return found
    if shutil.which("npm") is None:
        raise RuntimeError("There is no npm, which fetches ClickHouse's listener.")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as place:
        asked = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        answer = subprocess.run(asked, cwd=place, capture_output=True, text=True)
        archives = list(Path(place).glob("*.tgz"))
        if answer.returncode or len(archives) != 1:
            raise RuntimeError(f"npm could not fetch {PACKAGE}@{VERSION}: {answer.stderr[-500:]}")
        _check(archives[0])
        with tarfile.open(archives[0]) as archive:
            archive.extract("package/libchdb.so", place, filter="data")
        # At once, so that a fetch that broke off leaves nothing that looks like the library.
        os.replace(Path(place) / "package" / "libchdb.so", found)
    return found


def _check(archive: Path) -> None:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(digest).decode() != SHA512:
        raise RuntimeError(f"{PACKAGE}@{VERSION} is not the package that was pinned.")
