"""What ``geoseg evaluate`` does: two maps, or a model on labelled images, scored and reported."""
