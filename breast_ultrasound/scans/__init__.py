"""Scans as they come: pictures, DICOM objects and clips as grey frames, and what goes back in those forms.
Decoding of pictures is in `cases`, contours are drawn in `pages`.
"""
