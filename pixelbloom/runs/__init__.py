"""What a run is: its states, how it is submitted, planned, executed and put right."""
