"""Which request goes to its engine when, and what happens when one fails."""

from pnyx.runtime.scheduling.scheduler import Scheduler, Ticket

__all__ = ["Scheduler", "Ticket"]
