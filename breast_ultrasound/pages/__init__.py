"""What people look at: the gallery, charts, contact sheets and facts of the report, and the templates of all pages.
The figures are computed in `scoring`.
"""
