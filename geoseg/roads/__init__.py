"""From sieved class rows to a network of road centrelines, as a stream."""
