"""Compare the images of a data set: near-duplicates, frames of one sweep, and what is doubtful about an image or its
mask; the table of groups that comes of it. How groups are joined is in `cases`, how they are divided into folds in the
stage `split`.
"""
