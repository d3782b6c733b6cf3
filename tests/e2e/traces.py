"""What there is to see of a node on a machine, to compare before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2e.machines import Machine

__all__ = ["Traces", "traces"]

#: Where programs put what lasts. Through the rest of a machine's root, this machine's own life is to be seen.
_FILES = """
ls /
for place in /etc /usr/local /opt /srv /var/lib /var/log /var/spool /run; do
  find $place -path /opt/k8s -prune -o -path /var/lib/dpkg -prune -o -path /var/lib/apt -prune -o -printf '%y %p %l\\n'
done
"""
_BUILTIN = re.compile(r":(INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING)$|^table ip6? (nat|filter|mangle|raw|security)$")
_PROCESSES = """
ls /proc | grep '^[0-9]' | while read -r pid; do tr '\\0' ' ' </proc/$pid/cmdline 2>/dev/null | grep k8s; done
"""
_CHAINS = """
for kind in iptables-legacy iptables-nft ip6tables-legacy ip6tables-nft; do
  command -v $kind-save >/dev/null || continue
  $kind-save 2>/dev/null | sed -n "s/^\\(:[^ ]*\\) .*/$kind \\1/p; s/^-A/$kind -A/p"
done
nft list tables 2>/dev/null || true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Each is a set of lines."""

    files: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    rules: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]

    def beyond(self, before: Traces) -> dict[str, list[str]]:
        """Return what is here and was not before, or is gone, by kind; nothing where all is the same."""
        return {
            field.name: sorted(getattr(self, field.name) ^ getattr(before, field.name))
            for field in fields(self)
            if getattr(self, field.name) != getattr(before, field.name)
        }


def traces(machine: Machine) -> Traces:
    """Look at a machine."""

    def lines(script: str) -> frozenset[str]:
        return frozenset(machine.run("sh", "-c", script, check=False).splitlines())

    return Traces(
        files=lines(_FILES),
        mounts=lines("awk '{ print $5, $9 }' /proc/self/mountinfo"),
        interfaces=lines("ls /sys/class/net; ip -o route; ip -o address | awk '{ print $2, $4 }'"),
        rules=_own(lines(_CHAINS)),
        cgroups=_below(machine),
        processes=lines(_PROCESSES),
    )


def _own(rules: frozenset[str]) -> frozenset[str]:
    """Leave out the built-in tables and chains, which are there once anybody has looked."""
    return frozenset(rule for rule in rules if not _BUILTIN.search(rule))


def _below(machine: Machine) -> frozenset[str]:
    return frozenset(str(path) for group in machine.cgroups for path in group.glob("**/"))
