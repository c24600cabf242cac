"""Recordings of the brain's potentials: the files, a generator, and the features that classifiers see."""
