"""``python -m routescope.embedded STATE LOCK``: the keeper of the engines, started by their first user."""

from routescope.embedded.keeper import main

if __name__ == "__main__":
    main()
