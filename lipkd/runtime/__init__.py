"""What a process runs on and with: device, random generators, versions, and the record of each start."""
