"""The processes that compute, on this machine or on Ray."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "IF_MEMORY_RAN_OUT",
    "LOCAL",
    "ClosedAtExit",
    "Engine",
    "EngineName",
    "Load",
    "Work",
    "WorkerPool",
    "as_engine",
    "leave_to_parent",
    "rare_collections",
    "usable_cores",
]

if TYPE_CHECKING:
    from kimera.workers.cores import usable_cores
    from kimera.workers.engine import LOCAL, Engine, as_engine
    from kimera.workers.engine_name import EngineName
    from kimera.workers.garbage import rare_collections
    from kimera.workers.pool import IF_MEMORY_RAN_OUT, ClosedAtExit, Load, Work, WorkerPool
    from kimera.workers.worker_process import leave_to_parent
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "cores": ["usable_cores"],
            "engine": ["Engine", "LOCAL", "as_engine"],
            "engine_name": ["EngineName"],
            "pool": ["ClosedAtExit", "IF_MEMORY_RAN_OUT", "Load", "Work", "WorkerPool"],
            "garbage": ["rare_collections"],
            "worker_process": ["leave_to_parent"],
        },
    )
