"""What an image is told apart by: the search for frames that repeat one another or are of one sweep, and what is
doubtful about an image or its mask. How groups are divided into folds is in the stage `split`.
"""
