"""The seccomp filters decide as libseccomp's do: programs of both are run on many syscalls."""

from __future__ import annotations

import ctypes
import json
import operator
import os
import random
import struct
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_containerd_runtime import plugin

from k8sbuild.testing import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Programs = Callable[[Sequence["Filter"]], list[bytes]]

PACKAGE = Path(plugin.__file__).parent / "seccomp"
ARCHS = {"x86": 0x40000003, "amd64": 0xC000003E, "x32": 0x4000003E, "arm": 0x40000028, "arm64": 0xC00000B7}
#: AUDIT_ARCH_*: x32 has that of amd64.
AUDIT = {**ARCHS, "x32": ARCHS["amd64"]}
#: What the generated tables are called in Go; that of x32 is made of another.
GO = {"x86": "386", "amd64": "AMD64", "arm": "ARM", "arm64": "ARM64"}
NE, LT, LE, EQ, GE, GT, MASKED_EQ = range(1, 8)
KILL, ERRNO, TRAP, ALLOW, LOG = 0, 0x00050001, 0x00030000, 0x7FFF0000, 0x7FFC0000


@dataclass(frozen=True, slots=True)
class Rule:
    """An action for a syscall, with conditions ``(argument, operator, value, second value)``."""

    call: str
    action: int = ALLOW
    conditions: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    rules: tuple[Rule, ...]
    archs: tuple[str, ...] = ("amd64", "x86", "x32")
    fallback: int = ERRNO

    def as_json(self) -> dict[str, Any]:
        names = ("Argument", "Op", "Operand1", "Operand2")
        rules = [
            {"Call": r.call, "Action": r.action, "Conditions": [dict(zip(names, c, strict=True)) for c in r.conditions]}
            for r in self.rules
        ]
        return {"Fallback": self.fallback, "Archs": list(self.archs), "Rules": rules}


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@cache
def library() -> ctypes.CDLL | None:
    """Return the library, where this machine has it."""
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)
    ]  # fmt: skip
    lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.seccomp_release.argtypes = [ctypes.c_void_p]
    return lib


def number(call: str, arch: str) -> int:
    """Return a syscall's number; negative where the architecture has not got it."""
    lib = library()
    assert lib is not None
    return int(lib.seccomp_syscall_resolve_name_arch(ARCHS[arch], call.encode()))


def program(wanted: Filter) -> bytes:
    """Return the program that the library makes."""
    lib = library()
    assert lib is not None
    made = lib.seccomp_init(wanted.fallback)
    for arch in wanted.archs:
        assert lib.seccomp_arch_add(made, ARCHS[arch]) in (0, -17)  # EEXIST
    for rule in wanted.rules:
        array = (_Comparison * max(len(rule.conditions), 1))(*(_Comparison(*c) for c in rule.conditions))
        code = lib.seccomp_rule_add_array(made, rule.action, number(rule.call, "amd64"), len(rule.conditions), array)
        assert code == 0, (rule, os.strerror(-code))
    file = os.memfd_create("filter")
    assert lib.seccomp_export_bpf(made, file) == 0
    lib.seccomp_release(made)
    os.lseek(file, 0, os.SEEK_SET)
    with os.fdopen(file, "rb") as opened:
        return opened.read()


_JUMPS = {0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, 0x45: operator.and_}


@dataclass(slots=True)
class Machine:
    """Runs a filter's program."""

    code: bytes
    instructions: list[tuple[int, int, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.instructions = list(struct.iter_unpack("<HBBI", self.code))

    def __call__(self, arch: int, call: int, arguments: tuple[int, ...]) -> int:
        """Return the action for a syscall."""
        data = struct.pack("<IIQ6Q", call & 0xFFFFFFFF, arch, 0, *arguments)
        at, accumulator = 0, 0
        while True:
            code, yes, no, k = self.instructions[at]
            at += 1
            if code == 0x06:
                return k
            if code == 0x20:
                accumulator = int.from_bytes(data[k : k + 4], "little")
            elif code == 0x54:
                accumulator &= k
            elif code == 0x05:
                at += k
            else:
                at += yes if _JUMPS[code](accumulator, k) else no


pytestmark = pytest.mark.skipif(
    library() is None, reason="no libseccomp.so.2 on this machine: filters are NOT compared with it (libseccomp2)"
)

#: Values around those that conditions compare with.
VALUES = (0, 1, 2, 16, 39, 40, 41, 0x7E020000, 0xFFFFFFFF, 1 << 32, (40 << 32) | 40, (1 << 63) | 1, (1 << 64) - 1)


def numbers() -> str:
    """Return the file of the syscall tables, made from the library's own."""
    constants = [f"const numbers{go} = `{_table(arch)}`\n" for arch, go in GO.items()]
    return "package seccomp\n" + "".join(constants)


def _table(arch: str) -> str:
    lib = library()
    assert lib is not None
    names = ((lib.seccomp_syscall_resolve_num_arch(ARCHS[arch], n), n) for n in range(500))
    return " ".join(f"{name.decode()} {n}" for name, n in names if name)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Compile the program that makes filters with our package; return a function that asks it."""
    package = {f"seccomp/{path.name}": path.read_text() for path in PACKAGE.glob("seccomp/*.go")}
    tree = {
        "go.mod": "module k8sbuild.dev/runc\n\ngo 1.24\n",
        **package,
        "seccomp/numbers.go": numbers(),
        "main.go": (Path(__file__).parent / "filters" / "main.go").read_text(),
    }
    binary = programs.compiled(tmp_path_factory.mktemp("filters"), tree) / "runc"

    def made(filters: Sequence[Filter]) -> list[bytes]:
        asked = json.dumps([f.as_json() for f in filters])
        return [bytes.fromhex(line) for line in subprocess.check_output([binary], input=asked, text=True).split()]

    return made


def syscalls(wanted: Filter, some: random.Random) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield syscalls as the kernel shows them to a filter: those of the rules on every architecture, and others."""
    lib = library()
    assert lib is not None
    for arch, token in ARCHS.items():
        # Whether a rule looks at arguments, by number.
        calls = dict.fromkeys((0, 499, 0x3FFFFFFF, 1 << 30, (1 << 30) | 512, 0xFFFFFFFE, 0xFFFFFFFF), False)
        calls |= {102: True, 117: True}
        for rule in wanted.rules:
            found = lib.seccomp_syscall_resolve_name_arch(token, rule.call.encode())
            if found > 0:
                calls = {found - 1: False, found + 1: False, **calls, found: bool(rule.conditions)}
        for call, looks in calls.items():
            for value in VALUES if looks else (0,):
                yield AUDIT[arch], call, (value,) * 6
            yield AUDIT[arch], call, tuple(some.choice(VALUES) for _ in range(6))


def same(filters: Sequence[Filter], compiled: Programs) -> None:
    """Run both programs of each filter."""
    some = random.Random(1)
    for wanted, ours in zip(filters, compiled(filters), strict=True):
        theirs, mine = Machine(program(wanted)), Machine(ours)
        for seen in syscalls(wanted, some):
            assert mine(*seen) == theirs(*seen), (seen, wanted)


@pytest.mark.parametrize("op", range(NE, MASKED_EQ + 1))
def test_comparisons(op: int, compiled: Programs) -> None:
    values = [(v, w) for v in VALUES for w in (0, 2, v)] if op == MASKED_EQ else [(v, 0) for v in VALUES]
    same([Filter(rules=(Rule("personality", ALLOW, ((0, op, v, w),)),)) for v, w in values], compiled)


def test_several_conditions_and_several_rules(compiled: Programs) -> None:
    both = Rule("mmap", ALLOW, ((1, GT, 1, 0), (2, MASKED_EQ, 3, 1), (5, NE, 40, 0)))
    either = (Rule("personality", ALLOW, ((0, EQ, 16, 0),)), Rule("personality", ALLOW, ((0, EQ, 1 << 32, 0),)))
    whole = (Rule("clone", ALLOW, ((0, EQ, 1, 0),)), Rule("clone", TRAP), Rule("clone", ALLOW, ((0, EQ, 2, 0),)))
    same([Filter(rules=(both, *either, *whole))], compiled)


def test_what_32_bit_x86_has_behind_other_syscalls(compiled: Programs) -> None:
    family = Rule("socket", ALLOW, ((0, NE, 40, 0),))
    rest = (Rule("connect"), Rule("accept"), Rule("shmat"), Rule("semop", TRAP), Rule("recvmmsg"))
    later = Rule("sendto", ALLOW, ((2, EQ, 40, 0),))
    same(
        [
            Filter(rules=(family, *rest)),
            Filter(rules=(family, *rest), archs=("x86",)),
            Filter(rules=(Rule("socketcall"), family, Rule("ipc"), *rest)),
            Filter(rules=(later,)),
        ],
        compiled,
    )


@pytest.mark.parametrize("archs", [("amd64",), ("amd64", "x86", "x32"), ("x32",), ("arm64", "arm")])
def test_profiles(archs: tuple[str, ...], compiled: Programs) -> None:
    """Filters as large as those of container engines: most syscalls allowed, some by their arguments."""
    some = random.Random(" ".join(archs))
    names = sorted(set(_table("amd64").split()[::2]) | set(_table("arm").split()[::2]))
    same([_random(some, names, archs, size) for size in (3, 60, 300)], compiled)


def _random(some: random.Random, names: Sequence[str], archs: tuple[str, ...], size: int) -> Filter:
    # libseccomp 2.5.4 loses the only rule of amd64 and x32 where it has a condition and 32-bit x86 has more rules.
    rules = [Rule("read"), Rule("write")]
    for name in some.sample(sorted({*names} - {"read", "write"}), size):
        action = some.choice([ALLOW, ALLOW, ALLOW, LOG, TRAP])
        arguments = some.sample(range(6), some.choice([0, 0, 0, 0, 1, 2]))
        muxed = number(name, "x86") < -100
        given = () if muxed else tuple(_condition(some, n) for n in arguments)
        rules.append(Rule(name, action, given))
    return Filter(rules=tuple(rules), archs=archs, fallback=some.choice([ERRNO, KILL]))


def _condition(some: random.Random, argument: int) -> tuple[int, int, int, int]:
    op = some.randint(NE, MASKED_EQ)
    return argument, op, some.choice(VALUES), some.choice(VALUES) if op == MASKED_EQ else 0
