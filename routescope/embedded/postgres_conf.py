"""The configuration of the embedded PostgreSQL, computed from the machine's memory and its disk."""

from __future__ import annotations

import os
from pathlib import Path

from routescope.embedded.disk import Disk
from routescope.embedded.home import Home

_MB = 1024 * 1024

# What an import of millions of rows and reports over them want from a small machine with an SSD.
_FIXED = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # The folder is private.
    "max_connections": "200",
    "jit": "off",
    "work_mem": "32MB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "64",
    # Insert-only partitions: keep their visibility map fresh for index-only scans.
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_vacuum_insert_threshold": "10000",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_naptime": "30s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "default_text_search_config": "pg_catalog.simple",
    # One file for each weekday, overwritten a week later.
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # Statements, rows and COPY lines may hold what people wrote to a model: an error's own words must do.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
}

_FAST_AND_UNSAFE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def settings(home: Home, data: Path, *, durable: bool) -> str:
    """Return postgresql.conf. ``durable=False``: loses data at power loss, and is faster, for tests."""
    memory = _memory()
    chosen = dict(_FIXED)
    chosen |= {
        "unix_socket_directories": str(home.sockets),
        "log_directory": str(home.made("log")),
        "shared_buffers": f"{_between(memory // 8, 64 * _MB, 1024 * _MB) // _MB}MB",
        "effective_cache_size": f"{_between(memory // 2, 256 * _MB, 64 * 1024 * _MB) // _MB}MB",
        "maintenance_work_mem": f"{_between(memory // 16, 64 * _MB, 512 * _MB) // _MB}MB",
    }
    chosen |= _disk(Disk.of(data))
    if _shared_memory() < 512 * _MB:
        chosen["dynamic_shared_memory_type"] = "mmap"  # A container's 64 MB are too few.
    if not durable:
        chosen |= _FAST_AND_UNSAFE
        chosen["shared_buffers"] = "128MB"
    lines = ["# Written anew at every start. Put settings of your own into local.conf, beside this file."]
    lines += [f"{name} = '{_escaped(value)}'" for name, value in chosen.items()]
    if (data / "local.conf").exists():
        lines.append("include 'local.conf'")
    return "\n".join([*lines, ""])


def _disk(disk: Disk) -> dict[str, str]:
    """Return the settings that follow from the size of the data's disk.

    The log of changes may grow to as much as is kept free. What it once took it keeps, up to 1 GB: where
    others fill the disk, that is left to write on.
    """
    segment = 16 * _MB
    log = disk.kept // segment * segment
    return {
        "max_wal_size": f"{log // _MB}MB",
        "min_wal_size": f"{min(log, 1024 * _MB) // _MB}MB",
        "temp_file_limit": f"{max(disk.size // 8, 48 * _MB) // _MB}MB",
    }


def _memory() -> int:
    """Return the bytes of memory this process may use: the machine's, or its container's limit."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = Path(file).read_text().strip()
        except OSError:
            continue  # Not in this kind of container.
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def _shared_memory() -> int:
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108
    except FileNotFoundError:
        return 0
    return found.f_frsize * found.f_blocks


def _between(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
