"""What protocols share: fixed-point maths, proxies, tokens, price feeds and Uniswap v3, without any I/O."""
