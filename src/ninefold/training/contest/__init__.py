"""Networks and layers in contest: Ninefold beside other runtimes, in alternation, with the results compared first."""
