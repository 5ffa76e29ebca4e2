"""The one error that is shown to the person at the keyboard, without a traceback."""

__all__ = ["UserError"]


class UserError(Exception):
    """A mistake that the user can mend; the message says what, where and how. Commands exit with 2."""
