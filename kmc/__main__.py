"""`python -m kmc` is `kmc`."""

from kmc.cli import main

if __name__ == "__main__":
    main()
