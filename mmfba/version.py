# Copyright (c) mmfba authors.
__version__ = '0.1.0'
