"""Where cases come from: the phantom, public releases, case tables and class folders of one's own.

`cases` holds what a case is once it is there; `scans` reads the files that a case table names.
"""
