"""TFDS builders of ganjax's own sets, one file each. They prepare and read array_record files
without TensorFlow.
"""
