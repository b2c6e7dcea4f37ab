"""The command `paddlevideo`: one module for each subcommand."""
