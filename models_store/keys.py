"""The key of the house: hashes identifiers so that they can be matched but not read."""

import hashlib
import hmac
import secrets

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models_store.settings import Settings
from models_store.tables import Secret

NAME, ERASED = "hash_key", "erased:"


def hashed(db: Session, identity: str) -> str:
    """What stands in place of an erased identifier; the same identifier always gives the same."""
    digest = hmac.new(hash_key(db), identity.encode(), hashlib.sha256).hexdigest()
    return f"{ERASED}{digest}"


def hash_key(db: Session) -> bytes:
    """The key from the settings, or the one made at its first use and kept ever after."""
    settings: Settings = db.info["settings"]
    if settings.hash_key is not None:
        return settings.hash_key.get_secret_value().encode()
    kept: dict[str, bytes] = db.info["kept"]  # by this process, for all that follow
    if NAME in kept:
        return kept[NAME]
    if NAME not in db.info:
        found = db.get(Secret, NAME)
        if found is not None:
            return kept.setdefault(NAME, bytes.fromhex(found.value))
        db.info[NAME] = _made(db)
    key: bytes = db.info[NAME]
    return key


def _made(db: Session) -> bytes:
    """A new key; nobody else may count on it before this transaction has ended well."""
    try:
        with db.begin_nested():
            db.add(Secret(name=NAME, value=secrets.token_hex(32)))
    except IntegrityError:  # another process made one in the same moment
        db.expire_all()
    return bytes.fromhex(db.get_one(Secret, NAME).value)
