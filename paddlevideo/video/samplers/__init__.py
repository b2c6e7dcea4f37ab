"""Frame samplers: which frames of a video become the clip. One file each."""
