"""What a run's files cost: size, milliseconds, memory, work; beside other ways to run the network."""
