"""Where frames come from: files, cameras, addresses, pipes."""
