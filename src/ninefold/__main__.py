"""`python -m ninefold` is the command `ninefold`."""

from ninefold.app.main import main

main()
