"""The command `paddlevideo`: one module for each subcommand (`main.COMMANDS` lists them).

May import every package; nothing imports it but ``__main__``. Begin reading in `main`.
"""
