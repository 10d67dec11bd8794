"""Faults on a wire, in spells: now everything passes, now some requests or all of them fail in one way."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.cluster.http_proxy import Fault, HttpProxy

_STATUSES: Final = (500, 502, 503, 504, 403, 429)
KINDS: Final = (*map(str, _STATUSES), "delay", "hang", "cut", "lose")
"""What a spell may do: answer with a status, delay, hang, cut the connection, or lose the reply to a write."""


@dataclass(frozen=True)
class Spell:
    """A while in which one thing happens.

    Args:
        seconds: How long.
        kind: One of `KINDS`; empty: everything passes.
        share: Which share of the requests it strikes.
    """

    seconds: float
    kind: str = ""
    share: float = 0.0


def spells(random: Random) -> tuple[Spell, Spell]:
    """Return a fair spell and the foul one after it."""
    fair = Spell(random.uniform(0.3, 3.0))
    return fair, Spell(random.uniform(0.5, 4.0), random.choice(KINDS), random.choice((0.1, 0.4, 1.0)))


def fault_of(spell: Spell, method: str, random: Random) -> Fault:
    """Return what happens to a request."""
    if not spell.kind or random.random() >= spell.share:
        return None
    if spell.kind == "delay":
        return "delay", random.uniform(0.05, 2.0)
    if spell.kind in ("hang", "cut"):
        return spell.kind, 0
    if spell.kind == "lose":
        # A read that is done and lost is a read that was cut; and a watch has no end that could be waited for.
        return ("cut" if method == "GET" else "lose"), 0
    return "status", int(spell.kind)


class Weather:
    """The faults on one proxy.

    Args:
        proxy: The proxy.
        random: Where they come from.

    Attributes:
        struck: How many requests each kind of fault struck.
    """

    def __init__(self, proxy: HttpProxy, random: Random) -> None:
        self._proxy = proxy
        self._random = random
        # The rule is asked in the proxy's thread.
        self._dice = Random(random.random())
        self._spell = Spell(0)
        self.struck: Counter[str] = Counter()

    async def blow(self) -> None:
        """Change from spell to spell until cancelled; then everything passes."""
        self._proxy.rule = self._rule
        try:
            while True:
                for spell in spells(self._random):
                    self._spell = spell
                    if spell.kind == "cut":
                        # Connections that say nothing, as watches do, are cut too.
                        self._proxy.cut()
                    await asyncio.sleep(spell.seconds)
        finally:
            self._proxy.always(None)

    def _rule(self, method: str, _path: str) -> Fault:
        fault = fault_of(self._spell, method, self._dice)
        if fault is not None:
            self.struck[self._spell.kind] += 1
        return fault
