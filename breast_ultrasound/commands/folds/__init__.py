"""`folds`: the folds of the data that is checked out for other software, and other people's splits against its audit.
The command line, the table of folds, the formats that it is written in, and the check.
"""
