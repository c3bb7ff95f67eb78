"""What a service takes that is given folders instead of a wheel: ``plugins.zip`` and ``dags.zip``, made of the wheel, and
the checksums of all three. ``make dist`` runs it: ``python -m distribution.archives dist``."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "web_analytics/"
DAGS = f"{PACKAGE}dags/"
# Without it Airflow takes each module of the package for a plugin of its own.
AIRFLOWIGNORE = Path(__file__).resolve().parents[1] / "plugins" / ".airflowignore"
# The same content gives the same bytes.
WRITTEN_AT = (1980, 1, 1, 0, 0, 0)


def write(archive: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in sorted(files):
            target.writestr(zipfile.ZipInfo(name, WRITTEN_AT), content, zipfile.ZIP_DEFLATED)


def make(folder: Path) -> list[Path]:
    """Makes them beside the one wheel in a folder."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as built:
        files = {name: built.read(name) for name in built.namelist() if ".dist-info/" not in name}
    dags = {name.removeprefix(DAGS): content for name, content in files.items() if name.startswith(DAGS)}
    # It finds the DAGs of an installed package; here they stand in the dags folder.
    del dags["__init__.py"]
    plugins = {name: content for name, content in files.items() if not name.startswith(DAGS)}
    plugins[AIRFLOWIGNORE.name] = AIRFLOWIGNORE.read_bytes()
    write(folder / "dags.zip", dags.items())
    write(folder / "plugins.zip", plugins.items())
    made = [wheel, folder / "dags.zip", folder / "plugins.zip"]
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in made)
    (folder / "SHA256SUMS").write_text(sums)
    return made


if __name__ == "__main__":
    for file in make(Path(sys.argv[1])):
        print(file)
