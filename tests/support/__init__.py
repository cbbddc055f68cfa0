"""What tests share: the node, the fault proxy, builders."""
