"""The command line. Importing it loads neither torch nor NumPy: a command loads what it needs when it runs."""
