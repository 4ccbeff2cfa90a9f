"""OpenCV without its chatter: `from preprocessing.quiet_cv2 import cv2`.

OpenCV, FFmpeg and libpng report damaged files on stderr in their own words; what is wrong reaches the
user as the reason of a reject instead. The levels are read once, when cv2 is first imported, so they
are set here, before that; a level from outside wins.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

import cv2

__all__ = ["cv2"]
