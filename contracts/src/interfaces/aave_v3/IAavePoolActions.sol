// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What a liquidator does with an Aave v3 pool.
interface IAavePoolActions {
    /// Repays at most `debtToCover` for the user and takes collateral for it, as the token or as the pool's own.
    function liquidationCall(
        address collateralAsset,
        address debtAsset,
        address user,
        uint256 debtToCover,
        bool receiveAToken
    ) external;

    /// Sends `amount`, calls `executeOperation` of the receiver, and takes amount and premium back by its approval.
    function flashLoanSimple(
        address receiverAddress,
        address asset,
        uint256 amount,
        bytes calldata params,
        uint16 referralCode
    ) external;
}

/// What an Aave v3 pool calls while a flash loan is out.
interface IAaveFlashBorrower {
    function executeOperation(address asset, uint256 amount, uint256 premium, address initiator, bytes calldata params)
        external
        returns (bool);
}
