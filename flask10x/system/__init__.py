"""What the processes of one machine share: disk, locks, shared memory, log."""
