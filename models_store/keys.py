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
    if NAME not in db.info:  # ten thousand identifiers in a row ask for it once
        db.info[NAME] = _kept_key(db)
    key: bytes = db.info[NAME]
    return key


def _kept_key(db: Session) -> bytes:
    kept = db.get(Secret, NAME)
    if kept is None:
        try:
            with db.begin_nested():
                db.add(Secret(name=NAME, value=secrets.token_hex(32)))
        except IntegrityError:  # another process made one in the same moment
            db.expire_all()
        kept = db.get_one(Secret, NAME)
    return bytes.fromhex(kept.value)
