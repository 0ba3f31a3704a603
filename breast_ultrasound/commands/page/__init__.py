"""`page`: a page of this machine alone, on which scans are segmented and looked at.
`segment` does the same from files to files.
"""
