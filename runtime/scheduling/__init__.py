"""Which request goes to its engine when, what happens when one fails, and which engines are in memory meanwhile."""

from pnyx.runtime.scheduling.residency import Residency, Stays
from pnyx.runtime.scheduling.scheduler import Scheduler, Ticket
from pnyx.runtime.scheduling.swapped import SwappedEngine

__all__ = ["Residency", "Scheduler", "Stays", "SwappedEngine", "Ticket"]
