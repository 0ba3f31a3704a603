"""`folds`: the folds that are checked out, for other software, and somebody's split against the audit.
The command line; the table of folds and the formats it is written in; how a split is read and matched, and its check.
"""
