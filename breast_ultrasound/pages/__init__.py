"""What people look at: charts, contours, templates and how they are filled.
The figures shown are made in `scoring`.
"""
