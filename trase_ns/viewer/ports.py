"""Where a server can listen."""

from __future__ import annotations

import errno
import socket

from trase_ns.errors import UserError

_TRIES = 100


def free_port(host: str, port: int) -> int:
    """Return the first free port from `port` on.

    Args:
        host: name or address of an interface of this machine.
        port: the one that is wanted, from 1 to 65535.

    Raises:
        UserError: there is no such interface or port, it may not be used, or a hundred ports in a row are taken.
    """
    if not 0 < port < 1 << 16:
        raise UserError(f"port {port}: use a number from 1 to 65535")
    last = min(port + _TRIES, 1 << 16)
    for candidate in range(port, last):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                probe.bind(address)
                return candidate
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UserError(f"cannot listen on {host}, port {candidate}: {error.strerror or error}") from error
    raise UserError(f"ports {port} to {last - 1} of {host} are all taken: name another one")
