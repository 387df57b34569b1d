"""Made-up aerial scenes with their true maps, for demonstration, tests and training."""
