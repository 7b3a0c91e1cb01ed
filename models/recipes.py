"""The command line of the scripts that train a model from its recipe.toml and a corpus: masked.py and pairs.py."""

import argparse
import pathlib
import tomllib


def options(doc):
    """What they all take; `doc` is that of the script."""
    a = argparse.ArgumentParser(description=doc.split("\n")[0])
    a.add_argument("--recipe", type=pathlib.Path, required=True)
    a.add_argument("--corpus", type=pathlib.Path, required=True)
    a.add_argument("--out", type=pathlib.Path, required=True, help="the run's folder")
    a.add_argument("--prepare", action="store_true", help="only write the folder, with untrained weights")
    a.add_argument("--stop-at", type=int, help="stop before this step, to be continued")
    a.add_argument("--max-steps", type=int, help="instead of the recipe's, to end a run earlier or later")
    return a


def read_recipe(a):
    """The recipe that the command line names, as it changes it."""
    recipe = tomllib.loads(a.recipe.read_text(encoding="utf-8"))
    if a.max_steps:
        recipe["training"]["max_steps"] = a.max_steps
    return recipe
