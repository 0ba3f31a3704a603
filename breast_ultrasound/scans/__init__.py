"""Scans as scanners and people save them: pictures, DICOM objects and clips, read as grey frames and written back.
Pictures are decoded in `cases`, contours are drawn in `pages`.
"""
