"""``python -m paddlevideo``: the command `paddlevideo`."""

from paddlevideo.cli.main import main

if __name__ == "__main__":
    main()
