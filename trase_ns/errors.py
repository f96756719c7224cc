"""The one exception for mistakes that a user can mend."""


class UserError(Exception):
    """A user's mistake: one message that names the file, frame or option, what is wrong and what to do.

    Commands print the message without a traceback and exit with status 1.
    """
