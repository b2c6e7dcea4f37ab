"""The command ``paddlevideo``: one module a subcommand."""
