"""What a process reports about itself: metrics, traces and errors. All is off by default, and costs nothing then."""
