"""`segment`: masks and findings of new scans."""
