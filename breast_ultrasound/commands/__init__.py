"""What people run beside the pipeline: segment, page, compare, cases, phantom and recipe.

The stages of the pipeline are in `stages`, outside the library.
"""
