"""Where units of work are done: in threads here, in processes of this machine, or on a cluster.

A unit is small, stands alone and always gives the same answer, so it does not matter who does it, nor how
often. :func:`~fcfi_core.workers.team.finished` hands units out and asks again where a worker was lost; a
*place* (:mod:`~fcfi_core.workers.local`, :mod:`~fcfi_core.workers.cluster`) only knows how to hire one.
"""

from fcfi_core.workers.local import Processes, Threads, suited
from fcfi_core.workers.team import Job, Lost, Place, Worker, WorkerError, finished

__all__ = ["Job", "Lost", "Place", "Processes", "Threads", "Worker", "WorkerError", "finished", "suited"]
