"""Which image stands where in training, and which draws it gets: functions of the seed and the index."""
