"""OpenCV without its chatter, and with eyes for one file only: `from preprocessing.video.quiet_cv2 import cv2`.

OpenCV, FFmpeg and libpng report damaged files on stderr in their own words; what is wrong reaches the
user as the reason of a reject instead. The settings are read once, when cv2 is first imported, so they
are set here, before that; a level from outside wins.
"""

import os

from preprocessing.video.containers import OPENCV_OPTIONS

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", OPENCV_OPTIONS)

import cv2

__all__ = ["cv2"]
