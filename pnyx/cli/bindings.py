"""Which weights and engine stand behind the models of a plan: configuration file and arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pnyx.compiler.plan import Plan
    from pnyx.runtime.config import Config

__all__ = ["add_binding_arguments", "bound_models", "configuration", "with_facts"]


def add_binding_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="NAME=ID", action="append", default=[], help="use another model for the program's NAME"
    )
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="run every model on this engine: `transformers`, `vllm`, `openai`, `replay`, `simulated`",
    )
    parser.add_argument("--config", metavar="FILE", help="default: pnyx.toml beside the program, or in a folder above")


def configuration(options: argparse.Namespace, plan: Plan) -> Config:
    """Raises ConfigurationError."""
    from pnyx.runtime.config import load_config, override

    config = load_config(Path(options.config) if options.config else None, near=Path(options.file))
    return override(config, options.model, known=[model.name for model in plan.models])


def bound_models(options: argparse.Namespace, plan: Plan, config: Config) -> tuple[str, ...]:
    """What stands behind each model of the plan. What was measured on one model says little of another."""
    return tuple(
        f"{model.name}={options.engine or config.model(model.name).engine}:{config.model(model.name).id or model.id}"
        for model in plan.models
    )


def with_facts(plan: Plan, config: Config) -> Plan:
    """The plan with sizes and prices as configured or known, for estimates only: it has another digest."""
    from pnyx.runtime.engines.open import describe_models

    return plan.model_copy(update={"models": describe_models(plan, config)})
