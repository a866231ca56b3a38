# Copyright (c) mmfba authors.
"""What the Runner builds and calls, and what the command lines share."""
