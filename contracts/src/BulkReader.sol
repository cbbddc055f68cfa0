// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Many view calls in one `eth_call`. Never deployed: its runtime code is put at an unused address by a state
/// override, so any number of reads costs one request and sees one block.
contract BulkReader {
    struct Call {
        address target;
        bytes data;
    }

    struct Result {
        bool success;
        bytes data;
    }

    /// The time of the block that calls see: who reads checks that it is the block that was asked for.
    function clock() external view returns (uint256) {
        return block.timestamp;
    }

    /// Results in the order of the calls; a call that reverts has its revert data.
    function read(Call[] calldata calls) external view returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (results[i].success, results[i].data) = calls[i].target.staticcall(calls[i].data);
        }
    }
}
