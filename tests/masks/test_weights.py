import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trase_ns.errors import UserError
from trase_ns.masks.weights import WEIGHTS, Weights, find_weights

CONTENT = b"weights of a small model" * 1000


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server with `mobile.pt`, and an empty cache."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "mobile.pt").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/mobile.pt"
    server.shutdown()
    server.server_close()


def test_downloads_once(server, tmp_path, monkeypatch):
    digest = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setitem(WEIGHTS, "mobile", Weights(server, digest))
    path, found = find_weights("mobile")
    assert (path, found) == (tmp_path / "cache" / "mobile.pt", digest)
    assert path.read_bytes() == CONTENT
    (tmp_path / "www" / "mobile.pt").unlink()
    assert find_weights("mobile") == (path, digest)


def test_damaged_cache_is_downloaded_again(server, tmp_path, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "mobile", Weights(server, hashlib.sha256(CONTENT).hexdigest()))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mobile.pt").write_bytes(CONTENT[:100])
    assert find_weights("mobile")[0].read_bytes() == CONTENT


def test_wrong_content_is_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "mobile", Weights(server, "0" * 64))
    with pytest.raises(UserError, match="cannot download mobile.pt from http.*--checkpoint FILE"):
        find_weights("mobile")
    assert not list((tmp_path / "cache").iterdir())


def test_no_network_names_file_and_address(tmp_path, monkeypatch):
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(WEIGHTS, "mobile", Weights("http://127.0.0.1:9/mobile.pt", "0" * 64))
    with pytest.raises(UserError, match=r"mobile\.pt from http://127\.0\.0\.1:9/mobile\.pt.*--checkpoint") as caught:
        find_weights("mobile")
    assert "\n" not in str(caught.value)


def test_given_file(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(CONTENT)
    assert find_weights("vit_h", path) == (path, hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(UserError, match=r"nowhere\.pt do not exist: correct --checkpoint"):
        find_weights("vit_h", tmp_path / "nowhere.pt")


def test_official_hash_of_mobile_sam(assets):
    assert find_weights("mobile", assets / "mobile_sam.pt")[1] == WEIGHTS["mobile"].sha256
