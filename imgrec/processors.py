"""How many processors this process may use."""

import os


def cores() -> int:
    """Return the number of processors, at least 1; those that an affinity mask or `taskset` leaves."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
