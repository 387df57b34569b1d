"""The wiring: one function per verb that leads the data through the stations."""
