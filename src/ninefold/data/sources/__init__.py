"""Where pictures come from: one file per kind of source, each with its card and its opener."""
