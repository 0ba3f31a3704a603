"""What people run beside the pipeline: segment, page, compare, folds, reproduced, cases, phantom and recipe.

The stages of the pipeline are in `stages`, outside the library.
"""
