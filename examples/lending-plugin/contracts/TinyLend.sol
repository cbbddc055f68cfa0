// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

interface IToken {
    function decimals() external view returns (uint8);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

interface IPriceFeed {
    function decimals() external view returns (uint8);
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

/// @notice Over-collateralised loans of a dollar token against one collateral. What lenders bring is simply held here.
/// @dev An example to run an adapter against, not a protocol to put money into. Ratios and dollars in 1e18, the interest
/// rate and the index in 1e27. Events say amounts, not shares: what an account owes has to be asked.
contract TinyLend {
    uint256 private constant WAD = 1e18;
    uint256 private constant RAY = 1e27;
    uint256 private constant DEEP = 0.95e18; // below this health all of a debt may be repaid at once, else half

    IToken public immutable collateral;
    IToken public immutable debt; // worth one dollar
    IPriceFeed public immutable feed; // dollars for one collateral token
    uint256 public immutable heartbeat; // seconds for which an answer is good
    uint256 public immutable threshold; // share of the collateral's worth that may be owed
    uint256 public immutable bonus; // what a liquidator gets above what he repays
    address public immutable owner;
    uint256 private immutable collateralScale; // takes token units to 1e18
    uint256 private immutable debtScale;
    uint256 private immutable priceScale;

    mapping(address => uint256) public collateralOf;
    mapping(address => uint256) public sharesOf;
    uint256 public totalCollateral;
    bool public paused;
    uint256 private rate; // a second
    uint256 private index = RAY; // what a share owes, as of indexTime
    uint256 private indexTime = block.timestamp;

    event Supplied(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event Borrowed(address indexed account, uint256 amount);
    event Repaid(address indexed account, uint256 amount);
    event Liquidated(
        address indexed account, address indexed liquidator, uint256 repaid, uint256 seized, uint256 writtenOff
    );
    event PausedSet(bool paused);

    error BadPrice(int256 answer);
    error StalePrice(uint256 updatedAt);
    error Unhealthy(uint256 capacity, uint256 owed);
    error Healthy(uint256 capacity, uint256 owed);
    error TooLittle(uint256 seized, uint256 least);
    error NothingToRepay();
    error IsPaused();
    error NotOwner();
    error TransferFailed();

    modifier running() {
        if (paused) revert IsPaused();
        _;
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    constructor(
        IToken collateral_,
        IToken debt_,
        IPriceFeed feed_,
        uint256 heartbeat_,
        uint256 threshold_,
        uint256 bonus_
    ) {
        collateral = collateral_;
        debt = debt_;
        feed = feed_;
        heartbeat = heartbeat_;
        threshold = threshold_;
        bonus = bonus_;
        owner = msg.sender;
        collateralScale = 10 ** (18 - collateral_.decimals());
        debtScale = 10 ** (18 - debt_.decimals());
        priceScale = 10 ** (18 - feed_.decimals());
    }

    // ---- views

    /// @notice What the index grows from: its stored value, as of when, and the rate a second.
    function accrual() external view returns (uint256, uint256, uint256) {
        return (index, indexTime, rate);
    }

    /// @notice Units of the dollar token that an account owes now.
    function debtOf(address account) public view returns (uint256) {
        return _ceilDiv(sharesOf[account] * _index(), RAY);
    }

    /// @notice Dollars that an account may owe, and that it owes. It can be liquidated when it owes more.
    function health(address account) public view returns (uint256 capacity, uint256 owed) {
        capacity = collateralOf[account] * collateralScale * price() / WAD * threshold / WAD;
        owed = debtOf(account) * debtScale;
    }

    /// @notice Dollars for one collateral token. Reverts when the feed's answer cannot be used.
    function price() public view returns (uint256) {
        (, int256 answer,, uint256 updatedAt,) = feed.latestRoundData();
        if (answer <= 0) revert BadPrice(answer);
        if (updatedAt + heartbeat < block.timestamp) revert StalePrice(updatedAt);
        return uint256(answer) * priceScale;
    }

    // ---- accounts

    function supply(uint256 amount) external {
        collateralOf[msg.sender] += amount;
        totalCollateral += amount;
        emit Supplied(msg.sender, amount);
        _take(collateral, amount);
    }

    function withdraw(uint256 amount) external {
        _accrue();
        collateralOf[msg.sender] -= amount;
        totalCollateral -= amount;
        _requireHealthy(msg.sender);
        emit Withdrawn(msg.sender, amount);
        _give(collateral, amount);
    }

    function borrow(uint256 amount) external running {
        _accrue();
        sharesOf[msg.sender] += _ceilDiv(amount * RAY, index);
        _requireHealthy(msg.sender);
        emit Borrowed(msg.sender, amount);
        _give(debt, amount);
    }

    /// @notice Repays at most what is owed.
    function repay(uint256 amount) external {
        _accrue();
        uint256 owed = debtOf(msg.sender);
        uint256 repaid = amount < owed ? amount : owed;
        sharesOf[msg.sender] -= repaid == owed ? sharesOf[msg.sender] : repaid * RAY / index;
        emit Repaid(msg.sender, repaid);
        _take(debt, repaid);
    }

    /// @notice Repays debt of an unhealthy account for its collateral at a bonus. Takes less than `amount` when half of
    /// the debt (all of it, when health is below 0.95) or all of the collateral is less. What then is owed without any
    /// collateral is written off. Reverts when fewer than `least` units of collateral come of it.
    function liquidate(address account, uint256 amount, uint256 least) external running {
        _accrue();
        (uint256 capacity, uint256 owed) = health(account);
        if (owed <= capacity) revert Healthy(capacity, owed);
        uint256 whole = debtOf(account);
        uint256 most = capacity * WAD < owed * DEEP ? whole : whole / 2;
        (uint256 repaid, uint256 seized) = _seizure(account, amount < most ? amount : most);
        if (repaid == 0) revert NothingToRepay();
        if (seized < least) revert TooLittle(seized, least);
        uint256 shares = sharesOf[account] - (repaid == whole ? sharesOf[account] : repaid * RAY / index);
        collateralOf[account] -= seized;
        totalCollateral -= seized;
        uint256 writtenOff = collateralOf[account] == 0 ? _ceilDiv(shares * index, RAY) : 0;
        sharesOf[account] = collateralOf[account] == 0 ? 0 : shares;
        emit Liquidated(account, msg.sender, repaid, seized, writtenOff);
        _take(debt, repaid);
        _give(collateral, seized);
    }

    // ---- governance

    function setRate(uint256 rate_) external onlyOwner {
        _accrue();
        rate = rate_;
    }

    function setPaused(bool paused_) external onlyOwner {
        paused = paused_;
        emit PausedSet(paused_);
    }

    // ---- inside

    /// @dev (repaid, seized): all of the collateral for what it is worth, when there is not more of it.
    function _seizure(address account, uint256 amount) private view returns (uint256, uint256) {
        uint256 held = collateralOf[account];
        uint256 worth = price() * collateralScale; // of one unit, less the bonus:
        uint256 seized = amount * debtScale * (WAD + bonus) / worth;
        if (seized < held) return (amount, seized);
        return (_ceilDiv(held * worth, debtScale * (WAD + bonus)), held);
    }

    function _accrue() private {
        index = _index();
        indexTime = block.timestamp;
    }

    function _index() private view returns (uint256) {
        return index + index * rate * (block.timestamp - indexTime) / RAY;
    }

    function _requireHealthy(address account) private view {
        if (sharesOf[account] == 0) return;
        (uint256 capacity, uint256 owed) = health(account);
        if (owed > capacity) revert Unhealthy(capacity, owed);
    }

    function _take(IToken token, uint256 amount) private {
        if (!token.transferFrom(msg.sender, address(this), amount)) revert TransferFailed();
    }

    function _give(IToken token, uint256 amount) private {
        if (!token.transfer(msg.sender, amount)) revert TransferFailed();
    }

    function _ceilDiv(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }
}
