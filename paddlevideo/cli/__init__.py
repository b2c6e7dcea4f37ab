"""The command `paddlevideo`: one module for each subcommand (`main.COMMANDS` lists them)."""
