"""What a process gives up before it looks at bytes of strangers: files, sockets, processes, and most of its memory.

Linux's seccomp with a filter (seccomp(2), the classic BPF of bpf(2)): all system calls but a few fail with EPERM. Where
the architecture is not known here, or the kernel has no filters, the limits of setrlimit(2) have to do: they alone
forbid new files and processes already.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct
from collections.abc import Mapping

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_DUMPABLE = 38, 22, 4
_MODE_FILTER = 2
_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4

# What is left: memory, the socket that is open, the clock, sleeping, and ending.
_X86_64 = {
    "read": 0, "write": 1, "close": 3, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "mremap": 25, "madvise": 28, "sendto": 44,
    "recvfrom": 45, "exit": 60, "futex": 202, "sched_getaffinity": 204, "clock_gettime": 228, "exit_group": 231,
    "getrandom": 318,
}  # fmt: skip
_AARCH64 = {
    "close": 57, "lseek": 62, "read": 63, "write": 64, "exit": 93, "exit_group": 94, "futex": 98,
    "clock_gettime": 113, "sched_getaffinity": 123, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
    "sendto": 206, "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226,
    "madvise": 233, "getrandom": 278,
}  # fmt: skip
_FILTERS: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "x86_64": (0xC000003E, _X86_64),
    "aarch64": (0xC00000B7, _AARCH64),
}


def enter(memory: int) -> bool:
    """Give everything up that decoding does not need. `memory`: octets of address space at most.

    Returns whether system calls are filtered, too. Raises OSError where not even the limits can be set.
    """
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nobody else of this user looks into it
    known = _FILTERS.get(platform.machine())
    if known is None or struct.calcsize("P") != 8:
        return False
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return _filter(libc, *known)


def _filter(libc: ctypes.CDLL, architecture: int, allowed: Mapping[str, int]) -> bool:
    numbers = sorted(allowed.values())
    program = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _RET_KILL),  # the numbers below are another architecture's
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    program += [(_JUMP_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _RET_ERRNO | errno.EPERM), (_RETURN, 0, 0, _RET_ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    done: int = libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header), 0, 0)
    return done == 0
