"""Data sets on disk: photos with their objects, one file per format."""
