"""The scheduler: a queue for every engine, and the way of a request through it.

Invariants
- Never more samples in flight at an engine than it may have (a request larger than that goes alone).
- The lowest priority value goes first, and among equals the first come, so examples that were begun end first and the
  requests of one step, which share their prompt's beginning, go together; nobody is overtaken for being large.
- A failed request that may be tried again waits outside the window, and comes back at its old place in the queue;
  after `drain` it is given up. Where one has waited for long for a server that is away, the others fail at once, until
  an answer comes again.
- `done` is called once, from the event loop and never from inside `submit`; after `cancel` it is not called.
- Cancelling reaches the engine, or gives the place in the queue back.
- Nothing goes to an engine while it is not in memory; waiting for that counts for no deadline.
"""

from __future__ import annotations

from collections.abc import Mapping

from pnyx.runtime.engines.engine import Engine
from pnyx.runtime.request import Request
from pnyx.runtime.scheduling.lane import Again, Done, Lane, Ticket
from pnyx.runtime.scheduling.swapped import SwappedEngine

__all__ = ["Again", "Done", "Scheduler", "Ticket"]

_REMOTE_DEADLINE = 600.0


class Scheduler:
    """Sends requests to the engines of the logical models. Logical models may share an engine, and then its window.

    `backoff`: seconds before the second try; twice as long before each further one, give or take a quarter.
    `deadline`: seconds that one try may take, by default 600 at a server and any time in this process. `hedge`: a
    request that takes this many times as long as nine in ten do is sent a second time, and the first answer counts.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        backoff: float = 0.5,
        deadline: float | None = None,
        hedge: float | None = None,
    ) -> None:
        lanes = {
            id(engine): Lane(
                engine,
                backoff=backoff,
                deadline=_REMOTE_DEADLINE if deadline is None and engine.info.remote else deadline,
                hedge=hedge,
                seat=engine.seat if isinstance(engine, SwappedEngine) else None,
            )
            for engine in engines.values()
        }
        self._lanes = {model: lanes[id(engine)] for model, engine in engines.items()}

    def submit(self, model: str, request: Request, done: Done, again: Again | None = None) -> Ticket:
        """Takes a request in; `done` hears the answer, or why there is none; `again` is asked before another try is
        made. Needs a running event loop."""
        return self._lanes[model].submit(request, done, again)

    def drain(self) -> None:
        """From now on no try is made again: `done` hears None where one would be."""
        for lane in self._lanes.values():
            lane.drain()

    async def settled(self) -> None:
        """Waits until the engines have let go of every cancelled request."""
        for lane in self._lanes.values():
            await lane.settled()
