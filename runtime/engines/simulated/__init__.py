"""A simulated engine: a deterministic little world of tasks, skills and mistakes. Nothing in it is a real model."""

from pnyx.runtime.engines.simulated.engine import SimulatedEngine
from pnyx.runtime.engines.simulated.mind import Mind, parameters_of, skill_of
from pnyx.runtime.engines.simulated.tasks import Task, tasks
from pnyx.runtime.engines.simulated.world import Truth, World

__all__ = ["Mind", "SimulatedEngine", "Task", "Truth", "World", "parameters_of", "skill_of", "tasks"]
