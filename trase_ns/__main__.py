"""`python -m trase_ns`: the `trase` command."""

from trase_ns.cli import main

if __name__ == "__main__":
    main()
