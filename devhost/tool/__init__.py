"""The command line that looks at instances and tells them what to do."""
