"""What FFmpeg may open when it is given a video: that file and nothing else.

A play list that calls itself a video would make it read other files, or call addresses, on this machine.
"""

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegps,mpegts,mpegvideo,avi,flv,asf,ogg,mxf,dv,gif"
ONLY_THIS_FILE = ("-protocol_whitelist", "file", "-format_whitelist", CONTAINERS)  # for ffmpeg and ffprobe
OPENCV_OPTIONS = f"protocol_whitelist;file|format_whitelist;{CONTAINERS}"  # the same for OpenCV's own FFmpeg
