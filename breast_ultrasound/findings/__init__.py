"""What masks and probabilities say of a lesion: its size, its shape, how sure it is; and the tables that hold it.
Knows no network and no file that comes in.
"""
