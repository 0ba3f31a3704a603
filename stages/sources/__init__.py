"""Where cases come from: the phantom, archives that nobody vouches for, and BUSI's manifest.
What a case is, once it is there, is in `cases`.
"""
