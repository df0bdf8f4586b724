"""Names of other machines are not looked up under test: where there is no network, a failed look-up is what the library takes for "not there"."""

import ipaddress
import socket

_look_up = socket.getaddrinfo


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        return bool(ipaddress.ip_address(name))  # nothing is looked up; whether it may be reached, pytest-socket says
    except ValueError:
        return name in ("localhost", socket.gethostname())


class Reached(BaseException):
    """No error: nothing that is under test may handle it."""


def _look_up_local(host, *rest, **options):
    if not _is_local(host):
        raise Reached(f"a test tried to reach {host}")
    return _look_up(host, *rest, **options)


socket.getaddrinfo = _look_up_local
