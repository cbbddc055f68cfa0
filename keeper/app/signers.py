"""The signer that the settings name."""

from keeper.abi import checksum
from keeper.errors import OperatorError
from keeper.execute.signing.kms import connect_kms
from keeper.execute.signing.local import from_keystore, from_private_key
from keeper.execute.signing.remote import RemoteSigner
from keeper.execute.signing.signer import Signer
from keeper.settings import DEVELOPMENT_CHAINS, Settings


def signer_of(settings: Settings) -> Signer:
    """The signer that the settings name. Blocks: a keystore takes a second, KMS is asked. Raises OperatorError."""
    if settings.keystore_file and settings.keystore_password:
        password = settings.keystore_password.get_secret_value()
        allow_open = settings.allow_open_secrets or settings.chain_id in DEVELOPMENT_CHAINS
        return from_keystore(settings.keystore_file, password, allow_open)
    if settings.private_key:
        return from_private_key(settings.private_key.get_secret_value())
    timeout_s = settings.signer_timeout_s
    if settings.remote_signer_url and settings.signer_address:
        url, address = settings.remote_signer_url.get_secret_value(), bytes.fromhex(settings.signer_address[2:])
        return RemoteSigner(url, address, timeout_s)
    if settings.kms_key_id:
        return _pinned(settings, _kms_signer(settings.kms_key_id, settings))
    raise OperatorError(
        "--live needs a signer: set KEEPER_KEYSTORE_FILE and KEEPER_KEYSTORE_PASSWORD_FILE, KEEPER_PRIVATE_KEY_FILE, "
        "KEEPER_REMOTE_SIGNER_URL or KEEPER_KMS_KEY_ID"
    )


def _kms_signer(key_id: str, settings: Settings) -> Signer:
    endpoint = settings.kms_endpoint_url.get_secret_value() if settings.kms_endpoint_url else None
    return connect_kms(key_id, settings.kms_region, endpoint, settings.signer_timeout_s)


def _pinned(settings: Settings, signer: Signer) -> Signer:
    """The signer, if it has the address of the settings: an alias in KMS can be moved to another key."""
    wanted = settings.signer_address
    if wanted and signer.address != bytes.fromhex(wanted[2:]):
        raise OperatorError(
            f"KEEPER_SIGNER_ADDRESS is {checksum(bytes.fromhex(wanted[2:]))}, the key of KEEPER_KMS_KEY_ID has address "
            f"{checksum(signer.address)}: check which key it names, then correct one of the two"
        )
    return signer
