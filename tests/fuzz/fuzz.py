"""Coverage-guided fuzzing of one parser: `python tests/fuzz/fuzz.py TARGET [--runs N] [--seconds S]`.

A finding ends the run with exit code 77 and prints the input, ready to be reproduced with `--input HEX`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mdoc_reader", "planted"], enable_loader_override=False):
    import planted
    import targets
    from mutate import mutate


def main() -> None:
    """Fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*targets.TARGETS, *(f"planted:{name}" for name in planted.PLANTED)])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0, help="stop after so long; 0: by runs alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", metavar="HEX", help="run this one input")
    parser.add_argument("--corpus", metavar="DIR", help="where to keep what was found interesting; default: nowhere")
    chosen = parser.parse_args()
    name = chosen.target.removeprefix("planted:")
    if chosen.target.startswith("planted:"):
        parse, seed = planted.PLANTED[name]
        run, seeds = targets.Target(name, parse), (seed,)
    else:
        run = targets.TARGETS[name]
        seeds = run.seeds
    if chosen.input is not None:
        print("accepted" if run(bytes.fromhex(chosen.input)) else "refused")
        return
    if chosen.corpus is None:
        # The engine ends its process without tidying up: it works in a child, and the corpus is ours to remove.
        with tempfile.TemporaryDirectory(prefix="mdoc-fuzz-") as scratch:
            sys.exit(subprocess.call([sys.executable, *sys.argv, "--corpus", scratch]))
    executions = 0

    def one(data: bytes) -> None:
        nonlocal executions
        executions += 1
        try:
            run(data)
        except BaseException as error:
            print(f"\nFOUND {type(error).__name__} after {executions} executions", flush=True)
            print(f"reproduce: python {Path(__file__).name} {chosen.target} --input {data.hex()}", flush=True)
            raise

    def vary(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.5:
            return atheris.Mutate(data, max_size)
        # The engine keeps the shortest inputs of a coverage: going back to whole examples reaches what lies deep.
        return mutate(dice.choice(seeds) if dice.random() < 0.5 else data, dice)[:max_size]

    folder = chosen.corpus
    for index, seed in enumerate(seeds):
        (Path(folder) / f"seed{index}").write_bytes(seed)
    options = [sys.argv[0], folder, f"-runs={chosen.runs}", f"-seed={chosen.seed}", "-max_len=4096", "-timeout=5"]
    options += ["-len_control=0", f"-artifact_prefix={folder}/", "-verbosity=1", "-rss_limit_mb=1024"]
    if chosen.seconds:
        options.append(f"-max_total_time={chosen.seconds}")
    atheris.Setup(options, one, custom_mutator=vary)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
