"""The ways mail leaves, one file each."""
