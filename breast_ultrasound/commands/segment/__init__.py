"""`segment`: masks and findings of new scans, from files to files.
The act on one frame is in `inference`; `page` does the same in a browser.
"""
