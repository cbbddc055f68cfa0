"""Gas of liquidations through the executor, for adapters to estimate with."""

# Gas used by whole transactions, measured on the published bytecode on anvil (tests/integration/protocols/executor):
# the largest of 6 to 40 liquidations each, rounded up. A tick that a swap crosses takes some 25,000 more.
AAVE_GAS = 400_000  # 3.0.2, own funds, one collateral and one debt, without swaps; 3.6 takes 70,000 less
AAVE_RESERVE_GAS = 30_000  # each further reserve that the account uses
FLASH_LOAN_GAS = 85_000
HOP_GAS = 95_000  # each Uniswap v3 pool of a swap
CURIE_GAS = 2_000_000  # deposit, liquidate, close, withdraw
CURIE_ORDER_GAS = 550_000  # each of a maker's orders that is cancelled first
CURIE_COLLATERAL_GAS = 810_000  # without swaps
BATCH_GAS = 8_500  # a batch of one, beyond what its step takes alone
# What each further step of a batch in the same market takes less than alone, at least: what it touches is warm.
AAVE_BATCH_SAVES = 190_000
CURIE_BATCH_SAVES = 380_000
COLLATERAL_BATCH_SAVES = 21_000  # the transaction's base
