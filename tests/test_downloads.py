"""`cnncourse data get` from servers and folders as they are: slow, broken, lying, or with other files."""

import gzip
import io
import random
import shutil
import tarfile
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from conftest import command

from cnncourse import data
from cnncourse.datasets import checksums, downloads
from cnncourse.tools import doctor


def published(name):
    """{file: content} of a stand-in for a data set, {packed file: content}; the folders are those of the real ones."""
    noise = random.Random(name)
    files = {file: noise.randbytes(100_000) for file in checksums.MD5[name]}
    if len(checksums.PACKED[name]) > 1:
        return files, {f"{file}.gz": gzip.compress(content) for file, content in files.items()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file, content in [("../outside", b"!"), *files.items()]:
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return files, {file: packed.getvalue() for file in checksums.PACKED[name]}


class Server(ThreadingHTTPServer):
    """Serves `files`; `mood` is a function of (handler, content, first byte asked for) that may answer otherwise."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.mood, self.asked = {}, honest, []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path, part = self.path[1:], self.headers.get("Range", "bytes=0-")
        start = int(part.removeprefix("bytes=").removesuffix("-"))
        if path not in self.server.files:
            return self.send_error(404)
        self.server.asked.append((path, start))
        self.server.mood(self, self.server.files[path], start)

    def answer(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_):
        pass


def honest(handler, content, start, stop=None):
    if start and start >= len(content):
        handler.answer(416, Content_Range=f"bytes */{len(content)}")
        return
    part = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
    handler.answer(206 if start else 200, Content_Length=len(content) - start, **part)
    handler.wfile.write(content[start:stop])


def breaking(handler, content, start):
    honest(handler, content, start, start + 30_000)


def broken(handler, content, start):
    honest(handler, content, start, start)


def slow(handler, content, start):
    handler.answer(Content_Length=len(content))
    for i in range(0, len(content), len(content) // 8):
        handler.wfile.write(content[i:i + len(content) // 8])
        time.sleep(0.02)


def stalling(handler, content, start):
    handler.answer(Content_Length=len(content))
    handler.wfile.write(content[:20_000])
    handler.rfile.read(1)  # until the client has left


def short(handler, content, start):
    handler.answer(Content_Length=1000)
    handler.wfile.write(content[:1000])


def endless(handler, content, start):
    handler.answer()
    with suppress(OSError):  # until nobody listens
        for _ in range(10_000):
            handler.wfile.write(content)
        handler.server.mood = None


def page(handler, content, start):
    handler.answer(Content_Type="text/html; charset=utf-8")
    handler.wfile.write(b"<!DOCTYPE html><title>Log in</title>")


def plain_page(handler, content, start):
    handler.answer()
    handler.wfile.write(b"<!DOCTYPE html><title>Log in</title>")


def in_a_circle(handler, content, start):
    handler.answer(302, Location=handler.path)


def another_protocol(handler, content, start):
    handler.wfile.write(b"\x1b[31mSSH-2.0\n\n")


def other(handler, content, start):
    honest(handler, bytes(len(content)), start)


def without_parts(handler, content, start):
    honest(handler, content, 0)


def without_parts_or_length(handler, content, start):
    handler.answer()
    handler.wfile.write(content)


def wrong_part(handler, content, start):
    handler.answer(206, Content_Range=f"bytes {start + 9}-{len(content) - 1}/{len(content)}")
    handler.wfile.write(content[start + 9:])


def earlier_part(handler, content, start):
    honest(handler, content, max(start - 1000, 0))


@pytest.fixture(params=["mnist", "cifar10"])
def stand_in(request, monkeypatch):
    """(name, {file: content}, {packed file: content}) of a small set, published at two servers."""
    name = request.param
    files, packed = published(name)
    monkeypatch.setitem(checksums.MD5, name, {file: checksums.digest(content) for file, content in files.items()})
    monkeypatch.setitem(checksums.PACKED, name, {
        file: (checksums.digest(content), len(content)) for file, content in packed.items()})
    monkeypatch.setattr(downloads, "PAUSE", 0)
    return name, files, packed


@pytest.fixture
def servers(stand_in, monkeypatch):
    """The two servers, which have the packed files in one folder."""
    name, _, packed = stand_in
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = [Server(), Server()]
    for server in servers:
        server.files = {Path(file).name: content for file, content in packed.items()}
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setitem(downloads.ADDRESSES, name, [server.address for server in servers])
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def get(root, *words):
    return command("data", "get", *words, "--root", root)


def whole(root, files):
    """Whether these files are there, and nothing else is."""
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return found == files


@pytest.mark.parametrize("mood", [honest, breaking, slow, without_parts, without_parts_or_length, earlier_part])
def test_files_come_whole_from_a_server_that_has_them_however_it_gives_them(mood, stand_in, servers, tmp_path, capsys):
    """With the speed and the time left."""
    servers[0].mood = mood
    name, files, packed = stand_in
    assert get(tmp_path / "root", name) == 0
    assert whole(tmp_path / "root", files) and not servers[1].asked
    assert not (tmp_path / "outside").exists()
    out, err = capsys.readouterr()
    assert out == f"{name} is in {tmp_path / 'root'}, whole\n"
    assert "B/s" in err and "<00:00" in err and f"{Path(next(iter(packed))).name} from 127.0.0.1" in err
    servers[0].asked.clear()
    assert get(tmp_path / "root", name) == 0 and not servers[0].asked  # nothing is fetched twice


@pytest.mark.parametrize("mood", [broken, stalling, short, endless, page, plain_page, other, wrong_part])
def test_the_next_address_is_taken_where_one_has_other_files_or_does_not_go_on(
        mood, stand_in, servers, monkeypatch, tmp_path):
    """Also when a part of the file is there, which the first must not spoil."""
    monkeypatch.setattr(downloads, "PATIENCE", 1 if mood is stalling else 30)
    name, files, packed = stand_in
    servers[0].mood = mood
    first, content = next(iter(packed.items()))
    (tmp_path / first).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / f"{first}.partial").write_bytes(content[:5000])
    assert get(tmp_path, name) == 0
    assert whole(tmp_path, files)
    assert servers[1].asked[0] == (Path(first).name, {stalling: 20_000, other: 0}.get(mood, 5000))
    assert servers[0].mood is mood


@pytest.mark.parametrize("mood, words", [
    (broken, "breaks off after 0 bytes (it sends no more)"), (stalling, "breaks off after 20,000 bytes (timed out)"),
    (short, "it offers 1,000 bytes in place of "), (endless, "it sends more than "),
    (page, "it answers with a web page"), (plain_page, "breaks off after 36 bytes (it sends no more)"),
    (other, "its bytes are not those that were published"), (None, "it answers 404 Not Found"),
    (in_a_circle, "that would lead to an infinite loop"), (another_protocol, "does not answer ([31mSSH-2.0)"),
    ("closed", "does not answer (")])
def test_a_server_without_the_files_is_named_with_the_reason_and_what_to_do(
        mood, words, stand_in, servers, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(downloads, "PATIENCE", 1 if mood is stalling else 30)
    name, _, packed = stand_in
    if mood is None:
        servers[0].files = {}
    elif mood == "closed":
        servers[0].socket.close()
    else:
        servers[0].mood = mood
    assert get(tmp_path, name, "--from", f"{servers[0].address}/") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"cnncourse: {name} could not be fetched: {servers[0].address} ") and words in error
    assert f"cnncourse data get {name} --from PLACE" in error and "'digits' or 'shapes'" in error
    with pytest.raises(FileNotFoundError, match="'digits' or 'shapes'"):  # and in a notebook
        servers[1].files = {}
        data.load(name, root=tmp_path)


def test_what_has_come_is_kept_and_the_next_attempt_goes_on_with_it_from_anywhere(
        stand_in, servers, monkeypatch, tmp_path, capsys):
    name, files, packed = stand_in
    first, content = next(iter(packed.items()))
    servers[0].mood = lambda handler, content, start: honest(handler, content, start, 30_000)
    assert get(tmp_path, name, "--from", servers[0].address) == 2
    assert (tmp_path / f"{first}.partial").read_bytes() == content[:30_000]
    found = doctor.data_sets(tmp_path)
    assert found[0] is None and f"{name} (half downloaded, 0.0 MB)" in found[1] and "cnncourse data get" in found[2]

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "append", Mock(side_effect=KeyboardInterrupt))
        assert get(tmp_path, name) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert get(tmp_path, name, "--from", servers[1].address) == 0
    assert servers[1].asked[0] == (Path(first).name, 30_000) and whole(tmp_path, files)


def test_a_part_that_is_of_another_file_is_thrown_away_and_fetched_anew(stand_in, servers, tmp_path):
    """Also where it is longer than the file."""
    name, files, packed = stand_in
    for file, size in zip(packed, (10 ** 6, 5000, 99, 99), strict=False):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{file}.partial").write_bytes(bytes(size))
    assert get(tmp_path, name, "--from", servers[0].address) == 0 and whole(tmp_path, files)


@pytest.mark.parametrize("layout", ["packed, in folders", "packed, in one folder", "in folders", "in one folder"])
@pytest.mark.parametrize("way", ["a folder", "a server"])
def test_a_folder_or_a_servers_folder_may_hold_the_files_packed_or_not(layout, way, stand_in, servers, tmp_path):
    name, files, packed = stand_in
    held = {file if layout.endswith("folders") else Path(file).name: content
            for file, content in (packed if layout.startswith("packed") else files).items()}
    servers[0].files = {f"our%20room/{file}": content for file, content in held.items()}
    for file, content in held.items():
        path = tmp_path / "our room" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    first = tmp_path / "root" / next(iter(packed))
    first.parent.mkdir(parents=True)
    first.with_name(first.name + ".partial").write_bytes(next(iter(packed.values()))[:5000])
    source = tmp_path / "our room" if way == "a folder" else f"{servers[0].address}/our%20room"
    assert get(tmp_path / "root", name, "--from", source) == 0
    assert whole(tmp_path / "root", files)
    assert all((tmp_path / "our room" / file).read_bytes() == content for file, content in held.items())


def test_the_packed_file_itself_may_be_named(servers, stand_in, tmp_path):
    name, files, packed = stand_in
    file = Path(next(iter(packed))).name
    for path, content in packed.items():
        (tmp_path / Path(path).name).write_bytes(content)
    for k, source in enumerate((f"{servers[0].address}/{file}?download=1", tmp_path / file)):
        assert get(tmp_path / f"root{k}", name, "--from", source) == 0
        assert whole(tmp_path / f"root{k}", files)


def test_damaged_files_are_replaced_when_the_whole_ones_have_come_and_whole_ones_stay(stand_in, servers, tmp_path):
    name, files, packed = stand_in
    for file, content in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    damaged, *others = [tmp_path / file for file in files]
    damaged.write_bytes(b"mine")
    times = [path.stat().st_mtime_ns for path in others]
    servers[0].mood = broken
    assert get(tmp_path, name, "--from", servers[0].address) == 2 and damaged.read_bytes() == b"mine"
    assert get(tmp_path, name, "--from", servers[1].address) == 0
    assert damaged.read_bytes() == next(iter(files.values()))
    assert [path.stat().st_mtime_ns for path in others] == times


@pytest.mark.parametrize("source, words", [
    ("htp://server", "'htp://server' is neither a folder here nor an address that begins with http:// or https://"),
    ("http://", "'http://' is neither a folder here"), ("", "'' is neither a folder here"),
    ("nowhere", "'nowhere' is neither a folder here"),
    ("http://[", "'http://[' is no address: "), ("http://a b", "http://a b does not answer ("),
    ("http://localhost:x", "http://localhost:x does not answer ("), (f"http://{'a' * 70}.org", " does not answer ("),
    (".", " (No such file or directory)")])
def test_a_source_that_is_none_is_refused_in_one_sentence(source, words, stand_in, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert get(tmp_path, stand_in[0], "--from", source) == 2
    out, err = capsys.readouterr()
    assert words in err and len(err.splitlines()) == 1 and not out


def test_a_set_that_is_not_downloaded_is_refused_and_the_nearest_named(tmp_path, capsys):
    assert get(tmp_path, "cifar") == 2
    assert "there is no data set to fetch 'cifar': did you mean cifar10 or cifar100?" in capsys.readouterr().err
    assert get(tmp_path, "digits") == 2
    assert "choose from mnist, fashion_mnist, cifar10, cifar100" in capsys.readouterr().err


def test_without_room_nothing_is_fetched_and_what_has_come_is_kept(stand_in, servers, monkeypatch, tmp_path, capsys):
    name, files, packed = stand_in
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
        assert get(tmp_path, name) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{name} cannot be written to {tmp_path} (" in error and "MB are to come" in error and "--root" in error
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", Mock(side_effect=OSError(28, "No space left on device")))
        assert get(tmp_path, name) == 2
    assert "(No space left on device): make room there" in capsys.readouterr().err
    servers[0].asked.clear()
    assert get(tmp_path, name) == 0 and whole(tmp_path, files)
    assert Path(next(iter(packed))).name not in [path for path, _ in servers[0].asked]  # it had come


def test_a_root_that_cannot_be_written_is_named(stand_in, servers, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert get(tmp_path / "file" / "below", stand_in[0]) == 2
    error = capsys.readouterr().err
    assert f"{stand_in[0]} cannot be written to {tmp_path / 'file' / 'below'} (" in error and "another folder" in error
    assert (tmp_path / "file").read_text() == "mine"
