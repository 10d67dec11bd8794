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
# All others lead to somebody's own network, or nowhere. What Python calls global has more, and changes with its
# release.
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
# Of protocols, of relays from IPv6, and of services that a cloud shows to its machines alone.
_OF_PROVIDERS: Final = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))


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
        if address not in _GLOBAL and address not in _NAT64:
            return False
    if any(address in each for each in _OF_PROVIDERS):
        return False
    return address.is_global and not address.is_multicast
