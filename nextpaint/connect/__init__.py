"""Sources and sinks: data files, replays, simulated shoppers, and the first application made out of somebody's own
files.

This room turns what lies outside into rows and calls for the façade. It holds no state of the node and reads no clock.
"""
