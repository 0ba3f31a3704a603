"""What every stage needs, whatever it works on: params, errors, outputs that appear whole, the engine that maps work
over images. Knows nothing of ultrasound; imports no other room.
"""
