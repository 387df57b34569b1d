"""Many scenes: tasks that can be repeated, done here or on a cluster, and tiles joined into one map."""
