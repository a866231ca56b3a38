# Copyright (c) mmfba authors.
"""The only code that knows the Runner."""
