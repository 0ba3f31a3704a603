"""Where cases come from: the phantom, case tables, BUSI's layout and manifest, archives that nobody vouches
for.
What a case is, once it is there, is in `cases`.
"""
