// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAaveFlashBorrower, IAavePoolActions} from "../../../src/interfaces/aave_v3/IAavePoolActions.sol";

/// A pool that behaves as Aave's does, or as badly as it is told to.
contract StubLender is IAavePoolActions {
    using SafeERC20 for IERC20;

    enum Mood {
        Honest,
        NeverCalls,
        CallsTwice,
        OtherAsset,
        OtherAmount,
        OtherInitiator,
        OtherParams,
        TakesTooMuch
    }

    error Moody(uint256 number);

    Mood public mood;
    uint256 public givenWad = 1e18; // collateral for each debt token
    uint256 public takenBps = 10_000; // of what was offered
    uint256 public premiumBps = 5;
    bytes public reason; // to revert with

    function set(Mood mood_) external {
        mood = mood_;
    }

    function setTerms(uint256 givenWad_, uint256 takenBps_, uint256 premiumBps_) external {
        (givenWad, takenBps, premiumBps) = (givenWad_, takenBps_, premiumBps_);
    }

    function setReason(bytes calldata reason_) external {
        reason = reason_;
    }

    function premium(uint256 amount) public view returns (uint256) {
        return amount * premiumBps / 10_000;
    }

    function liquidationCall(address collateral, address debt, address, uint256 offered, bool) external {
        if (reason.length != 0) {
            bytes memory data = reason;
            assembly ("memory-safe") {
                revert(add(data, 32), mload(data))
            }
        }
        uint256 taken = offered * takenBps / 10_000;
        if (mood == Mood.TakesTooMuch) taken = offered + 1;
        IERC20(debt).safeTransferFrom(msg.sender, address(this), taken);
        IERC20(collateral).safeTransfer(msg.sender, taken * givenWad / 1e18);
    }

    function flashLoanSimple(address receiver, address asset, uint256 amount, bytes calldata params, uint16) external {
        IERC20(asset).safeTransfer(receiver, amount);
        if (mood == Mood.NeverCalls) return;
        IAaveFlashBorrower borrower = IAaveFlashBorrower(receiver);
        borrower.executeOperation(
            mood == Mood.OtherAsset ? address(1) : asset,
            mood == Mood.OtherAmount ? amount + 1 : amount,
            premium(amount),
            mood == Mood.OtherInitiator ? address(this) : receiver,
            mood == Mood.OtherParams ? bytes("else") : params
        );
        if (mood == Mood.CallsTwice) {
            borrower.executeOperation(asset, amount, premium(amount), receiver, params);
        }
        IERC20(asset).safeTransferFrom(receiver, address(this), amount + premium(amount));
    }
}
