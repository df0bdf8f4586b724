"""Put on PYTHONPATH by the root conftest: a notebook's kernel, and what it starts, reach this machine only, as the tests do."""

import local_names  # noqa: F401
from pytest_socket import socket_allow_hosts

socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
