"""The one error that is shown to the person at the keyboard, without a traceback."""

__all__ = ["BrokenContractError", "UserError"]


class UserError(Exception):
    """A mistake that the user can mend; the message says what, where and how. Commands exit with 2."""


class BrokenContractError(UserError):
    """Code of the user's own does what it must not. Once mended it is other code, and so another run."""
