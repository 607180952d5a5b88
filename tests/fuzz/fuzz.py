"""Coverage-guided fuzzing of one parser: `python tests/fuzz/fuzz.py TARGET [--runs N] [--seconds S]`.

Says one line when nothing was found. A finding ends the run with another exit code than 0, the input as hexadecimal,
and the line that reproduces it. The engine ends its process without tidying up, so it works in a child, and the corpus
belongs to the parent: nothing is left behind however a run ends.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_DONE = re.compile(r"^Done (\d+) runs", re.MULTILINE)
_REPRODUCE = re.compile(r"^reproduce: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What a run came to. `executions` is 0 where the engine did not get to its end; `output` is all it said."""

    target: str
    exit_code: int
    executions: int
    seconds: float
    output: str
    reproduce: str = ""

    def __str__(self) -> str:
        """Return the line for people; all that matters of the output when something was found."""
        if self.exit_code == 0:
            rate = self.executions / max(self.seconds, 0.01)
            return f"{self.target}: {self.executions} executions in {self.seconds:.1f} s, {rate:.0f} a second"
        told = "\n".join(line for line in self.output.splitlines() if not line.startswith(("INFO:", "reproduce:")))
        return f"{self.target}: FAILED after {self.seconds:.1f} s\n{told[-3000:]}\n{self.reproduce}"


def run(
    target: str,
    runs: int,
    *,
    seconds: int = 0,
    seed: int = 1,
    corpus: Path | None = None,
    patience: float | None = None,
) -> Run:
    """Fuzz a target in a child process, for at most `patience` seconds whatever happens.

    `corpus` is a folder to start from and to keep what was found interesting in; by default nothing is kept.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mdoc-fuzz-") as folder:
        command = [sys.executable, str(Path(__file__).resolve()), target, "--engine", folder, "--runs", str(runs)]
        command += ["--seconds", str(seconds), "--seed", str(seed)]
        command += ["--corpus", str(corpus or Path(folder, "corpus"))]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONHASHSEED": "0"},  # one seed, one run
        ) as child:
            try:
                output, _ = child.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                child.kill()
                output = child.communicate()[0] + f"\nstopped after {patience} s"
            finally:
                child.kill()
        found = _REPRODUCE.search(output)
        reproduce = found[0] if found else _from_artifact(Path(folder), target)
    done = _DONE.search(output)
    executions = int(done[1]) if done else 0
    return Run(target, child.returncode, executions, time.monotonic() - began, output.strip(), reproduce)


def _line(target: str, data: bytes) -> str:
    return f"reproduce: python tests/fuzz/fuzz.py {target} --input {data.hex()}"


def _from_artifact(folder: Path, target: str) -> str:
    """Return the line for an input that only the engine saw: one that took too long or too much memory."""
    for kind in ("crash", "timeout", "oom", "leak"):
        for file in folder.glob(f"{kind}-*"):
            return _line(target, file.read_bytes())
    return ""


def _fuzz(asked: argparse.Namespace) -> None:
    """Run the engine; does not return."""
    import atheris

    with atheris.instrument_imports(include=["mdoc_reader", "planted"], enable_loader_override=False):
        import planted
        import targets
        from mutate import mutate
    chosen = planted.find(asked.target)
    seeds = chosen.seeds
    executions = 0

    def one(data: bytes) -> None:
        nonlocal executions
        executions += 1
        try:
            chosen(data)
        except BaseException as error:
            print(f"\nFOUND {type(error).__name__} after {executions} executions", flush=True)
            print(_line(asked.target, data), flush=True)
            raise

    def vary(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.5:
            return atheris.Mutate(data, max_size)
        # The engine keeps the shortest inputs of a coverage: going back to whole examples reaches what lies deep.
        return mutate(dice.choice(seeds) if dice.random() < 0.5 else data, dice)[:max_size]

    asked.corpus.mkdir(parents=True, exist_ok=True)
    for index, example in enumerate(seeds):
        (asked.corpus / f"seed{index}").write_bytes(example)
    options = [sys.argv[0], str(asked.corpus), f"-runs={asked.runs}", f"-seed={asked.seed}"]
    options += [f"-max_len={targets.LONGEST}", "-timeout=5", "-len_control=0", f"-artifact_prefix={asked.engine}/"]
    options += ["-verbosity=1", "-rss_limit_mb=1024"]
    if asked.seconds:
        options.append(f"-max_total_time={asked.seconds}")
    atheris.Setup(options, one, custom_mutator=vary)
    atheris.Fuzz()


def main() -> int:
    """Fuzz one target, or run one input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", help="a parser of targets.py, or planted:NAME")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0, help="stop after so long; 0: by runs alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", metavar="HEX", help="run this one input")
    parser.add_argument(
        "--corpus", type=Path, metavar="DIR", help="where to keep what was found interesting; default: nowhere"
    )
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.engine is not None:
        _fuzz(asked)
    import planted

    try:
        chosen = planted.find(asked.target)
    except KeyError:
        parser.error(f"no such target; there are: {', '.join(planted.names())}")
    if asked.input is not None:
        print("accepted" if chosen(bytes.fromhex(asked.input)) else "refused")
        return 0
    told = run(asked.target, asked.runs, seconds=asked.seconds, seed=asked.seed, corpus=asked.corpus)
    print(told)
    return told.exit_code


if __name__ == "__main__":
    sys.exit(main())
