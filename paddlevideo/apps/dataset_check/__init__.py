"""The check of any data set: a list, a folder, or all splits of a config.

May import what ``apps`` may. Begin reading in `check`: `check_listing` scans the files of a
`Listing`, `find` says what is wrong with them, and `CheckResult` shows it.
"""
