import socket

import pytest

from trase_ns.errors import UserError
from trase_ns.viewer.ports import free_port


def test_a_port_that_is_taken_gives_the_next_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = free_port("127.0.0.1", port)
        assert port < found <= port + 100
    assert free_port("127.0.0.1", port) == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(UserError, match="1 to 65535"):
        free_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(UserError, match="cannot listen on"):
        free_port(host, 7017)
