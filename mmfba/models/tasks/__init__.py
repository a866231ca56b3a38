# Copyright (c) mmfba authors.
"""What local learning of a task is by default, one file for each."""
