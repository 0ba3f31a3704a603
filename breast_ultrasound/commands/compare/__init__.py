"""`compare`: two runs, image by image. The command line, the runs of two revisions, and the page with their masks.
What a difference is worth is judged in `scoring`.
"""
