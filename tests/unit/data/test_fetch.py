import errno
import gzip
import hashlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ninefold import data
from ninefold.data.fetch import Remote, download, find_or_download
from ninefold.data.sources import idx
from ninefold.errors import CorruptFile, MissingData, StorageFull
from ninefold.storage import PARTIAL

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.contents.get(self.path, CONTENT)
        if self.path == "/error":
            self.send_error(500, "out of order")
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(CONTENT[:5000])
        elif self.path == "/stuck":
            self.wfile.write(CONTENT[:300_000])
            self.wfile.flush()
            self.server.released.wait()
        else:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.released, server.asked, server.contents = threading.Event(), [], {}
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def remote(server, path, md5=MD5):
    return Remote(f"http://127.0.0.1:{server.server_port}/{path}", md5, (path,))


@pytest.mark.parametrize("path", ["whole", "unsized"])
def test_a_download_is_checked_named_and_shown_on_standard_error(server, tmp_path, capsys, path):
    assert download(remote(server, path), tmp_path / "new").read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "new").iterdir()] == [path]
    out, err = capsys.readouterr()
    assert out == ""
    assert f"downloading {path}" in err


def test_another_checksum_deletes_the_file_and_says_so(server, tmp_path):
    with pytest.raises(
        CorruptFile, match=rf"/whole came with md5 {MD5} instead of {'0' * 32} and was deleted; try again"
    ):
        download(remote(server, "whole", "0" * 32), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "error",
            r"/error could not be downloaded \(HTTP Error 500: out of order\); try again, or download it yourself",
        ),
        ("cut", r"/cut broke off after 5,000 of 1,024,000 bytes; .* put it at .*cut"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_where_to_put_the_file(server, tmp_path, path, sentence):
    with pytest.raises(MissingData, match=sentence):
        download(remote(server, path), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    nobody = Remote("http://127.0.0.1:1/x", MD5, ("x",))
    with pytest.raises(MissingData, match=r"could not be downloaded .*refused"):
        download(nobody, tmp_path)


@pytest.mark.parametrize("when", ["write", "close"])
def test_a_full_disk_is_named_and_leaves_nothing(server, tmp_path, monkeypatch, when):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class FullFile:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            if when == "close":
                full()

        def write(self, _):
            if when == "write":
                full()

    monkeypatch.setattr(Path, "open", lambda *_: FullFile())
    with pytest.raises(StorageFull, match=r"whole could not be written: the disk is full"):
        download(remote(server, "whole"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_killed_download_leaves_no_file_of_the_final_name(server, tmp_path):
    script = (
        "import sys; from pathlib import Path; from ninefold.data.fetch import Remote, download;"
        "download(Remote(sys.argv[1], '', ()), Path(sys.argv[2]))"
    )
    url = remote(server, "stuck").url
    child = subprocess.Popen([sys.executable, "-c", script, url, str(tmp_path)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not any(path.stat().st_size for path in tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.02)
    child.kill()
    child.wait()
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < len(CONTENT)
    assert part.name == f".stuck.{child.pid}{PARTIAL}"


def test_a_set_is_downloaded_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    files = [remote(server, "one"), remote(server, "two")]
    assert find_or_download(files, "toy") == [tmp_path / "data" / "toy" / name for name in ("one", "two")]
    assert find_or_download(files, "toy") == [tmp_path / "data" / "toy" / name for name in ("one", "two")]
    assert server.asked == ["/one", "/two"]


def test_a_shared_folder_that_holds_all_files_comes_first(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    files = [remote(server, "one"), remote(server, "two")]
    (tmp_path / "one").write_bytes(b"")
    assert find_or_download(files[:1], "toy", [tmp_path]) == [tmp_path / "one"]
    assert find_or_download(files, "toy", [tmp_path])[0] == tmp_path / "cache" / "data" / "toy" / "one"


def test_a_set_without_a_folder_is_fetched_into_the_cache_and_opened(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    images = gzip.compress(bytes([0, 0, 8, 3, 0, 0, 0, 24, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(96))
    labels = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 24]) + bytes(24))
    sums = tuple(hashlib.md5(content).hexdigest() for content in (images, labels) * 2)
    toy = idx.MNIST._replace(address=f"http://127.0.0.1:{server.server_port}/", md5=sums)
    server.contents = {f"/{part.name}": images if "images" in part.name else labels for part in toy.remotes}
    source = idx.open_idx(toy)
    assert [len(source.split(name)) for name in ("train", "validation", "test")] == [22, 2, 24]


def test_every_published_file_has_an_https_address():
    remotes = [*idx.MNIST.remotes, *idx.FASHION_MNIST.remotes, data.sources.cifar10.ARCHIVE]
    assert all(part.url.startswith("https://") for part in remotes)
    assert all(part.name in part.spellings for part in remotes)
