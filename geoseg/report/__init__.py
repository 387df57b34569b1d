"""Reports: curves, pictures of maps, and one self-contained HTML page that holds them."""
