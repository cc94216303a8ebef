"""What of a URL may be shown, and whose machine an address is."""

from __future__ import annotations

import ipaddress
import socket


def masked(url: str) -> str:
    """A URL that may be shown: without user, password, query and fragment (signed URLs carry secrets there)."""
    url = url.partition("?")[0].partition("#")[0]
    head, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator:
        return url
    if "@" in path and ":" in authority and not authority.rpartition(":")[2].isdecimal():
        authority, slash, path = rest.rpartition("@")[2].partition("/")  # a password with a slash in it
    return f"{head}://{authority.rpartition('@')[2]}{slash}{path}"


def is_loopback(host: str) -> bool:
    """``localhost``, ``127.0.0.0/8`` or ``::1``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def literal_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``host`` spells, also in the forms that only resolvers know (``127.1``, ``0x7f000001``)."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
