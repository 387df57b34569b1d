"""What a batch is given: files, folders, patterns, lists, addresses and STAC; each scene with a name for results."""
