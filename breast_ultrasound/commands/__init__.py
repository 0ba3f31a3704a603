"""What people run beside the pipeline, such as segment, page, compare and score; CONTRIBUTING.md lists all.

The stages of the pipeline are in `stages`, outside the library.
"""
