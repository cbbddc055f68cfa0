"""Slots are where the standard and the compiler put them."""

from keeper.defi import proxies
from keeper.model.chain import CallResult


def test_the_slots_of_eip_1967() -> None:
    assert proxies.IMPLEMENTATION_SLOT == 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
    assert proxies.ADMIN_SLOT == 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
    assert proxies.BEACON_SLOT == 0xA3F0AD74E5423AEBFD80D3EF4346578335A9A72AEAEE59FF6CB3582B35133D50


def test_mappings_and_arrays_lie_where_their_hash_says() -> None:
    # The empty mapping key at slot 0 and the first array slot are widely known constants.
    assert proxies.mapping_slot(0, 0) == 0xAD3228B676F7D3CD4284A5443F17F1962B36E491B30A40B2405849E597BA5FB5
    assert proxies.array_slot(0) == 0x290DECD9548B62A8D60345A988386FC84BA6BC95484008F6362F93160EF3E563
    assert proxies.array_slot(0, index=3, size=2) == proxies.array_slot(0) + 6
    assert proxies.mapping_slot(5, b"\x01" * 20, 7) == proxies.mapping_slot(proxies.mapping_slot(5, b"\x01" * 20), 7)


def test_packed_fields_are_cut_out() -> None:
    word = (5 << 160) | ((-3) % 2**24 << 200)
    assert proxies.bits(word, 160, 24) == 5
    assert proxies.signed_bits(word, 200, 24) == -3
    assert proxies.words(CallResult(True, (1).to_bytes(32, "big") + (2).to_bytes(32, "big"))) == [1, 2]
    assert proxies.stored_address(CallResult(True, bytes(12) + b"\x07" * 20)) == b"\x07" * 20
    assert proxies.stored_address(CallResult(True, bytes(32))) == b""
