"""Public data sets as their publishers give them become lists that a config reads.

Begin reading in `prepare`; a data set's annotations are read by the module of its name.
"""
