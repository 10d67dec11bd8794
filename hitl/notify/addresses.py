"""Which addresses a webhook may go to: public ones, unless a setting allows others.

A name is resolved once, and the connection goes to an address that was checked. Who resolves again when connecting
may get another address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from hitl.core.notices import NotDelivered

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_ADDRESSES: Final = 3
# Gateways turn these into the IPv4 address in their last 32 bits.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host.

    Raises:
        OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def checked_addresses(host: str, port: int, *, private: bool, resolve: Resolve = resolve) -> list[str]:
    """Return the addresses of a host to connect to.

    Args:
        host: The host, without brackets.
        port: The port.
        private: Whether addresses that are not public may be connected to.
        resolve: Returns the addresses of a host.

    Raises:
        NotDelivered: there are none, or one of them is not public.
    """
    try:
        found = [ipaddress.ip_address(each) for each in await resolve(host, port)]
    except (OSError, ValueError) as error:
        # A label that is empty or too long is a UnicodeError, which is a ValueError.
        raise NotDelivered("its name cannot be resolved") from error
    if not found:
        raise NotDelivered("its name has no address")
    if not private and not all(map(is_public, found)):
        raise NotDelivered("its address is not public: HITL_NOTIFY_PRIVATE=allow permits that")
    return [str(each) for each in found[:_MOST_ADDRESSES]]


def is_public(address: _Address) -> bool:
    """Tell whether an address is one of the public internet, also the one that is inside another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(is_public(each) for each in inner if each is not None):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast
