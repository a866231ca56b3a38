# Copyright (c) mmfba authors.
"""Measuring and planning; the scripts in tools/ call it."""
