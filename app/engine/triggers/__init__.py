"""The ways into a flow, one file each."""
