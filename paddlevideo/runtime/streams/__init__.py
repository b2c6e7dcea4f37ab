"""Sessions and pools: networks that follow streams frame by frame."""
