"""Train a recipe (``main.py --validate -c CONFIG``) or test it (``--test -c CONFIG -w FILE``)."""

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("train_or_test", __doc__)
