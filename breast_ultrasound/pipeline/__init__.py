"""The base of all rooms: params, errors, outputs that appear whole, tables, and the engine that maps work over images.
It holds nothing about ultrasound and imports no other room. The images themselves are in `cases`.
"""
