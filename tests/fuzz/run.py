"""A long run of the fuzzer: `python tests/fuzz/run.py --count 200000 --seed 0 --workers 2`.

Every finding is printed with its seed, made small; the exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.examine import Finding, examine, minimise
from fuzz.inputs import HOSTILE, NOTATIONS, input_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first; the others follow")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--hostile", action="store_true", help="also the inputs of a megabyte")
    options = parser.parse_args()
    found: dict[str, int] = {}
    start = time.monotonic()
    with Pool(options.workers) as pool:
        seeds = range(options.seed, options.seed + options.count)
        for done, (seed, finding) in enumerate(pool.imap_unordered(_examined, seeds, chunksize=50), 1):
            if finding is not None and found.setdefault(finding.what, seed) == seed:
                case = input_of(seed)
                _show(f"seed {seed} ({case.kind}, {case.notation})", case.text, case.notation, finding)
            if done % 5000 == 0:
                rate = done / (time.monotonic() - start)
                print(f"{done} inputs, {rate:.0f} a second, {len(found)} findings", file=sys.stderr, flush=True)
    if options.hostile:
        for name, (notation, text) in HOSTILE.items():
            finding = examine(text, notation) if notation in NOTATIONS else None
            if finding is not None:
                found[f"{name}: {finding.what}"] = -1
                print(f"--- {name}: {finding.what}\n{finding.detail}")
    print(f"{options.count} inputs, {len(found)} findings, {time.monotonic() - start:.0f} s")
    return 1 if found else 0


def _examined(seed: int) -> tuple[int, Finding | None]:
    case = input_of(seed)
    return seed, examine(case.text, case.notation)


def _show(title: str, text: str, notation: str, finding: Finding) -> None:
    small = minimise(text, notation, finding)
    print(f"--- {title}: {finding.what}\n{finding.detail}{small!r}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
