"""Who may come in: users, sessions, API tokens and the lock against guessing, in `DATA_DIR/identity.db`.

    identity = Identity(data_dir / "identity.db")
    if identity.setup_needed:
        print(identity.setup_link("https://gateway:8443"))

* Passwords are kept as argon2id, every other secret as its SHA-256: the file opens no door by itself.
* A session ends after `IDLE` of silence or `ABSOLUTE` in all; it outlives a restart of the process.
* A token has a role, scopes and an end, and never more rights than the user who made it has now.
* Five wrong passwords for a name, twenty from an address, lock it for 30 s, then 60 s, up to 15 min. Names that nobody
  has are locked alike and take the same time, so that nobody learns which exist.
* The command line works on the same file (`bessai user`), beside a running gateway.
"""

from bessai.interfaces.api.identity.passwords import MINIMUM, Hasher
from bessai.interfaces.api.identity.people import Identity
from bessai.interfaces.api.identity.sessions import ABSOLUTE, IDLE, Session
from bessai.interfaces.api.identity.tokens import SCOPES, Caller, Token
from bessai.interfaces.api.identity.users import LANGUAGES, User

__all__ = [
    "ABSOLUTE",
    "IDLE",
    "LANGUAGES",
    "MINIMUM",
    "SCOPES",
    "Caller",
    "Hasher",
    "Identity",
    "Session",
    "Token",
    "User",
]
