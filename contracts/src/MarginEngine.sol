// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IFeed} from "./interfaces/IFeed.sol";
import {Wad} from "./libraries/Wad.sol";

/// Cross-margin perpetual futures with several collaterals.
///
/// Units: dollars, sizes, prices and ratios are 1e18; token amounts are in the token's own units. Collateral 0 is the
/// settlement token: it counts at par, and each account's balance in it is a signed dollar amount into which profit,
/// fees, funding and penalties are settled. The liquidity pool is the counterparty of every trade, at the index price.
/// Rounding is against the account wherever it matters.
///
/// Every change of an account is announced with its resulting value (`SettlementChanged`, `CollateralChanged`,
/// `PositionChanged`, `MarketChanged`), so that the exact state of all accounts can be rebuilt from logs alone.
contract MarginEngine is Ownable2Step, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using SafeCast for int256;

    struct CollateralParams {
        IFeed feed; // none for collateral 0
        uint32 heartbeat; // seconds after which the feed's answer is stale
        uint64 weight; // share of the value that counts as equity: 1e18 minus the haircut
        uint64 discount; // what a keeper saves when it buys seized collateral
        uint128 cap; // most token units the engine accepts
        uint128 minGift; // fewest token units that somebody may deposit for another account
    }

    struct Collateral {
        IERC20 token;
        uint128 scale; // token units to 1e18
        uint128 feedScale; // feed answers to 1e18
        uint128 total; // token units held for accounts; not kept for collateral 0
        CollateralParams params;
    }

    struct MarketParams {
        IFeed feed;
        uint32 heartbeat;
        uint64 initialFactor; // initial margin = maintenance margin * initialFactor
        uint64 tradingFee; // share of the notional
        uint64 penalty; // share of the liquidated notional
        uint64 keeperShare; // share of the penalty that goes to the keeper
        uint64 maxFundingRate; // share of the notional a day, at full skew
        uint128 skewScale; // size of the skew at which funding is at its maximum
        uint128 maxOpenInterest; // size, each side
        uint128 blockCap; // liquidated notional a block
        uint128 minNotional; // a smaller position is dust
        uint128 step; // sizes are multiples of it
    }

    struct Market {
        uint128 feedScale;
        uint128 longSize;
        uint128 shortSize;
        int128 fundingIndex; // dollars owed by a long of size 1 since the market began
        uint64 fundingTime;
        uint64 capBlock; // block in which `capUsed` was last counted
        uint128 capUsed;
        MarketParams params;
    }

    /// Maintenance margin of a notional n in [floor, next floor): n * rate - offset.
    struct Bracket {
        uint128 floor;
        uint64 rate;
        uint128 offset;
    }

    struct Position {
        int128 size;
        int128 cost; // signed dollars paid for the size; unrealised profit = size * price - cost
        int128 fundingIndex; // the market's when funding was last settled
    }

    error NotLiquidatable(int256 equity, uint256 requirement);
    error CloseFactorExceeded(uint256 maxSize);
    error OverLiquidation(int256 equity, uint256 requirement);
    error DustLeft(uint256 notional);
    error BlockCapReached(uint256 available);
    error RewardTooLow(uint256 reward);
    error Expired(uint256 deadline);
    error NotSeizable(int256 settlement);
    error TooLittleOut(uint256 amount);
    error StalePrice(address feed, uint256 updatedAt);
    error BadPrice(address feed, int256 answer);
    error BadSize();
    error BadParameter(string what);
    error MarginTooLow(int256 equity, uint256 requirement);
    error OpenInterestTooHigh(uint256 size);
    error CapExceeded(uint256 total);
    error GiftTooSmall(uint256 least);
    error PriceLimit(uint256 price);
    error UnknownCollateral(address token);
    error UnknownMarket(uint256 market);
    error InsufficientBalance();

    event CollateralListed(uint256 indexed id, address token, uint8 decimals, string symbol);
    event MarketListed(uint256 indexed id, bytes32 name);
    event CollateralConfigured(uint256 indexed id, CollateralParams params, uint8 feedDecimals);
    event MarketConfigured(uint256 indexed id, MarketParams params, uint8 feedDecimals);
    event BracketsConfigured(uint256 indexed id, Bracket[] brackets);
    event LimitsConfigured(uint256 maxPostHealth, uint256 debtLimit);

    event SettlementChanged(address indexed account, int256 balance);
    event CollateralChanged(address indexed account, uint256 indexed id, uint256 balance);
    event PositionChanged(
        address indexed account, uint256 indexed market, int256 size, int256 cost, int256 fundingIndex
    );
    event MarketChanged(
        uint256 indexed market, uint256 longSize, uint256 shortSize, int256 fundingIndex, uint256 fundingTime
    );
    event FundsChanged(int256 pool, uint256 insuranceFund);

    event Traded(address indexed account, uint256 indexed market, int256 sizeDelta, uint256 price, uint256 fee);
    event Liquidated(
        address indexed account,
        uint256 indexed market,
        address indexed keeper,
        uint256 size,
        uint256 price,
        uint256 penalty,
        uint256 reward
    );
    event CollateralSeized(
        address indexed account, uint256 indexed id, address indexed keeper, uint256 amount, uint256 repaid
    );
    event BadDebt(address indexed account, uint256 debt, uint256 fromInsuranceFund, uint256 fromPool);

    uint256 public constant MAX_LISTED = 64; // collaterals, and markets
    uint256 public constant DUST = 1e18; // dollars of collateral, as it counts, that keep no bad debt alive

    Collateral[] private collaterals;
    Market[] private markets;
    mapping(uint256 market => Bracket[]) private brackets;
    mapping(address token => uint256 idPlusOne) private collateralIds;

    mapping(address account => int256) public settlementBalance;
    mapping(address account => mapping(uint256 id => uint256)) public collateralBalance;
    mapping(address account => mapping(uint256 market => Position)) private positions;
    mapping(address account => uint256) private heldCollaterals; // bit i: balance of collateral i
    mapping(address account => uint256) private heldMarkets; // bit i: position in market i

    int256 public pool;
    uint256 public insuranceFund;
    uint256 public maxPostHealth;
    uint256 public debtLimit; // settlement debt above which collateral may be seized from a healthy account

    constructor(IERC20 settlementToken, address owner_) Ownable(owner_) {
        CollateralParams memory atPar;
        atPar.weight = uint64(Wad.ONE);
        atPar.cap = type(uint96).max;
        atPar.minGift = uint128(10 ** IERC20Metadata(address(settlementToken)).decimals()); // one dollar
        _list(settlementToken, atPar);
        _setLimits(1.25e18, 10_000e18);
    }

    modifier until(uint256 deadline) {
        if (block.timestamp > deadline) revert Expired(deadline);
        _;
    }

    // ---------------------------------------------------------------- governance

    function listCollateral(IERC20 token, CollateralParams calldata params) external onlyOwner returns (uint256 id) {
        id = _list(token, params);
    }

    function configureCollateral(uint256 id, CollateralParams calldata params) external onlyOwner {
        if (id == 0 || id >= collaterals.length) revert UnknownCollateral(address(0));
        _configureCollateral(id, params);
    }

    /// name: the base asset, such as "ETH".
    function listMarket(bytes32 name, MarketParams calldata params, Bracket[] calldata brackets_)
        external
        onlyOwner
        returns (uint256 id)
    {
        id = markets.length;
        if (id == MAX_LISTED) revert BadParameter("too many markets");
        markets.push().fundingTime = uint64(block.timestamp);
        emit MarketListed(id, name);
        _configureMarket(id, params, brackets_);
    }

    function configureMarket(uint256 id, MarketParams calldata params, Bracket[] calldata brackets_)
        external
        onlyOwner
    {
        _market(id);
        _configureMarket(id, params, brackets_);
    }

    function setLimits(uint256 maxPostHealth_, uint256 debtLimit_) external onlyOwner {
        _setLimits(maxPostHealth_, debtLimit_);
    }

    /// Stops trades, withdrawals, liquidations and seizures; deposits stay open, so accounts can save themselves.
    function pause() external onlyOwner {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    function fundPool(uint256 amount) external nonReentrant {
        pool += _pullSettlement(amount).toInt256();
        emit FundsChanged(pool, insuranceFund);
    }

    function withdrawPool(uint256 amount) external onlyOwner nonReentrant {
        pool -= (amount * collaterals[0].scale).toInt256();
        if (pool < 0) revert InsufficientBalance();
        emit FundsChanged(pool, insuranceFund);
        collaterals[0].token.safeTransfer(msg.sender, amount);
    }

    function fundInsurance(uint256 amount) external nonReentrant {
        insuranceFund += _pullSettlement(amount);
        emit FundsChanged(pool, insuranceFund);
    }

    // ---------------------------------------------------------------- accounts

    function deposit(address token, uint256 amount) external {
        depositFor(msg.sender, token, amount);
    }

    /// Needs a fresh price: what nobody can value saves no account. A gift must be worth somebody's while.
    function depositFor(address account, address token, uint256 amount) public nonReentrant {
        uint256 id = collateralId(token);
        if (amount == 0) revert BadSize();
        Collateral storage collateral = collaterals[id];
        if (account != msg.sender && amount < collateral.params.minGift) {
            revert GiftTooSmall(collateral.params.minGift);
        }
        if (id == 0) {
            _settle(account, _pullSettlement(amount).toInt256());
            return;
        }
        _collateralPrice(collateral);
        uint256 total = collateral.total + amount;
        if (total > collateral.params.cap) revert CapExceeded(total);
        collateral.total = total.toUint128();
        _setCollateral(account, id, collateralBalance[account][id] + amount);
        collateral.token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function withdraw(address token, uint256 amount) external nonReentrant whenNotPaused {
        uint256 id = collateralId(token);
        Collateral storage collateral = collaterals[id];
        if (id == 0) {
            int256 value = (amount * collateral.scale).toInt256();
            if (value > settlementBalance[msg.sender]) revert InsufficientBalance();
            _settle(msg.sender, -value);
        } else {
            uint256 balance = collateralBalance[msg.sender][id];
            if (amount > balance) revert InsufficientBalance();
            collateral.total -= amount.toUint128();
            _setCollateral(msg.sender, id, balance - amount);
        }
        _requireInitialMargin(msg.sender);
        collateral.token.safeTransfer(msg.sender, amount);
    }

    /// Trades `sizeDelta` (positive buys) at the index price against the pool.
    /// limitPrice: the worst price accepted.
    function trade(uint256 market, int256 sizeDelta, uint256 limitPrice) external nonReentrant whenNotPaused {
        Market storage m = _market(market);
        MarketParams storage params = m.params;
        int256 before = positions[msg.sender][market].size;
        bool closes = sizeDelta == -before; // always allowed, whatever the step has become since it was opened
        if (sizeDelta == 0 || (!closes && sizeDelta % int256(uint256(params.step)) != 0)) revert BadSize();
        uint256 price = _marketPrice(m);
        if (sizeDelta > 0 ? price > limitPrice : price < limitPrice) revert PriceLimit(price);
        _accrue(market, price);

        _changePosition(msg.sender, market, sizeDelta, price);
        int256 size = before + sizeDelta;

        uint256 fee = Wad.mulUp(Wad.mulUp(_abs(sizeDelta), price), params.tradingFee);
        _settle(msg.sender, -fee.toInt256());
        pool += fee.toInt256();
        emit FundsChanged(pool, insuranceFund);
        emit Traded(msg.sender, market, sizeDelta, price, fee);

        uint256 notional = Wad.mulUp(_abs(size), price);
        if (size != 0 && notional < params.minNotional) revert DustLeft(notional);
        bool reduces = (size == 0 || (size > 0) == (before > 0)) && _abs(size) < _abs(before);
        if (reduces) {
            (int256 equity, uint256 requirement) = _health(msg.sender, true);
            if (equity < requirement.toInt256()) revert MarginTooLow(equity, requirement);
        } else {
            uint256 side = size > 0 ? m.longSize : m.shortSize;
            if (side > params.maxOpenInterest) revert OpenInterestTooHigh(side);
            _requireInitialMargin(msg.sender);
        }
    }

    // ---------------------------------------------------------------- liquidation

    /// Closes `size` of an unsafe account's position at the index price, for a share of the penalty.
    ///
    /// At most half of the position, unless the equity is below half the requirement or what remains would be dust;
    /// never beyond `maxPostHealth`: a full close counts as if the smallest allowed position were still open.
    /// minReward: settlement token units below which the call reverts; deadline: unix seconds after which it does.
    function liquidate(address account, uint256 market, uint256 size, uint256 minReward, uint256 deadline)
        external
        nonReentrant
        whenNotPaused
        until(deadline)
        returns (uint256 reward)
    {
        Market storage m = _market(market);
        uint256 price = _marketPrice(m);
        _accrue(market, price);
        (int256 equity, uint256 requirement) = health(account);
        if (equity >= requirement.toInt256()) revert NotLiquidatable(equity, requirement);

        int256 held = positions[account][market].size;
        bool forced = _checkSize(m, _abs(held), size, price, equity * 2 < requirement.toInt256());
        uint256 notional = Wad.mulUp(size, price);
        _useBlockCap(m, notional);

        _changePosition(account, market, held > 0 ? -size.toInt256() : size.toInt256(), price);
        reward = _takePenalty(account, market, m, size, price, equity);
        if (reward < minReward) revert RewardTooLow(reward);

        (equity, requirement) = health(account);
        if (size == _abs(held)) requirement += _maintenance(market, m.params.minNotional);
        if (!forced && equity * Wad.SIGNED_ONE > (requirement * maxPostHealth).toInt256()) {
            revert OverLiquidation(equity, requirement);
        }
        _settleBadDebt(account);
        emit FundsChanged(pool, insuranceFund);
        collaterals[0].token.safeTransfer(msg.sender, reward);
    }

    /// Sells an indebted account's collateral to the caller at a discount, against at most `repay` settlement tokens.
    ///
    /// Open when the account's settlement balance is negative and the account is unsafe, has no position, or owes more
    /// than `debtLimit`. Sells for no more than the debt, or one token unit where that is dearer.
    /// minOut: token units below which the call reverts; deadline: unix seconds after which it does.
    function seizeCollateral(address account, address token, uint256 repay, uint256 minOut, uint256 deadline)
        external
        nonReentrant
        whenNotPaused
        until(deadline)
        returns (uint256 amount, uint256 repaid)
    {
        uint256 id = collateralId(token);
        if (id == 0) revert UnknownCollateral(token);
        int256 settlement = settlementBalance[account];
        if (settlement >= 0) revert NotSeizable(settlement);
        if (heldMarkets[account] != 0 && uint256(-settlement) <= debtLimit) {
            (int256 equity, uint256 requirement) = health(account);
            if (equity >= requirement.toInt256()) revert NotSeizable(settlement);
        }

        uint256 balance = collateralBalance[account][id];
        (amount, repaid) = _quoteSeizure(id, balance, uint256(-settlement), repay);
        if (amount == 0 || amount < minOut) revert TooLittleOut(amount);

        collaterals[id].total -= amount.toUint128();
        _setCollateral(account, id, balance - amount);
        _settle(account, _pullSettlement(repaid).toInt256());
        emit CollateralSeized(account, id, msg.sender, amount, repaid);
        _settleBadDebt(account);
        emit FundsChanged(pool, insuranceFund);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------------- views

    /// Equity and maintenance requirement in 1e18 dollars, rounded against the account, at this block's timestamp.
    /// Liquidatable when equity < requirement.
    ///
    /// Reverts when the feed of a market that the account has a position in is stale or not positive. A collateral never
    /// makes it revert: it counts at its last price, however old, and as nothing while its feed gives none.
    function health(address account) public view returns (int256 equity, uint256 requirement) {
        return _health(account, false);
    }

    function collateralId(address token) public view returns (uint256) {
        uint256 idPlusOne = collateralIds[token];
        if (idPlusOne == 0) revert UnknownCollateral(token);
        return idPlusOne - 1;
    }

    function collateralCount() external view returns (uint256) {
        return collaterals.length;
    }

    function marketCount() external view returns (uint256) {
        return markets.length;
    }

    function getCollateral(uint256 id) external view returns (Collateral memory) {
        return collaterals[id];
    }

    function getMarket(uint256 id) external view returns (Market memory) {
        return markets[id];
    }

    function getBrackets(uint256 id) external view returns (Bracket[] memory) {
        return brackets[id];
    }

    function getPosition(address account, uint256 market) external view returns (Position memory) {
        return positions[account][market];
    }

    // ---------------------------------------------------------------- internals: prices, funding, margin

    /// freshOnly: what has no fresh price counts as nothing, as for whatever the account itself wants to do.
    function _health(address account, bool freshOnly) private view returns (int256 equity, uint256 requirement) {
        (uint256 worth,) = _collateralWorth(account, freshOnly);
        equity = settlementBalance[account] + worth.toInt256();
        uint256 held = heldMarkets[account];
        for (uint256 id = 0; held >> id != 0; ++id) {
            if ((held >> id) & 1 == 0) continue;
            Market storage m = markets[id];
            uint256 price = _marketPrice(m);
            Position storage position = positions[account][id];
            int256 size = position.size;
            equity += Wad.mulFloor(size, int256(price)) - position.cost
            - Wad.mulCeil(size, _fundingIndex(m, price) - position.fundingIndex);
            requirement += _maintenance(id, Wad.mulUp(_abs(size), price));
        }
    }

    /// What the collaterals count as equity, and whether each of them had a price.
    function _collateralWorth(address account, bool freshOnly) private view returns (uint256 worth, bool known) {
        uint256 held = heldCollaterals[account];
        known = true;
        for (uint256 id = 1; held >> id != 0; ++id) {
            if ((held >> id) & 1 == 0) continue;
            Collateral storage collateral = collaterals[id];
            (uint256 price, bool fresh) = _lastPrice(collateral);
            if (price == 0) known = false;
            if (freshOnly && !fresh) continue;
            uint256 weighted = collateralBalance[account][id] * collateral.scale * collateral.params.weight;
            worth += Math.mulDiv(weighted, price, 1e36);
        }
    }

    /// The feed's last price, whatever its age, and whether it is fresh; zero when the feed gives none. Never reverts: a
    /// feed would need most of the transaction's gas for a caller to starve it, and leave too little to go on with.
    function _lastPrice(Collateral storage collateral) private view returns (uint256 price, bool fresh) {
        CollateralParams storage params = collateral.params;
        (bool answered, bytes memory data) = address(params.feed).staticcall(abi.encodeCall(IFeed.latestRoundData, ()));
        if (!answered || data.length < 160) return (0, false);
        (uint256 round, int256 answer,, uint256 updatedAt, uint256 answeredIn) =
            abi.decode(data, (uint256, int256, uint256, uint256, uint256));
        if (round > type(uint80).max || answeredIn > type(uint80).max) return (0, false);
        uint256 scale = collateral.feedScale;
        if (!_isPrice(answer, scale)) return (0, false);
        fresh = updatedAt >= block.timestamp || block.timestamp - updatedAt <= params.heartbeat;
        price = uint256(answer) * scale;
    }

    function _marketPrice(Market storage m) private view returns (uint256) {
        return _read(m.params.feed, m.params.heartbeat, m.feedScale);
    }

    function _collateralPrice(Collateral storage collateral) private view returns (uint256) {
        return _read(collateral.params.feed, collateral.params.heartbeat, collateral.feedScale);
    }

    function _read(IFeed feed, uint256 heartbeat, uint256 scale) private view returns (uint256) {
        (, int256 answer,, uint256 updatedAt,) = feed.latestRoundData();
        if (!_isPrice(answer, scale)) revert BadPrice(address(feed), answer);
        if (updatedAt + heartbeat < block.timestamp) revert StalePrice(address(feed), updatedAt);
        return uint256(answer) * scale;
    }

    /// Positive, and of a size that no product of it overflows.
    function _isPrice(int256 answer, uint256 scale) private pure returns (bool) {
        return answer > 0 && uint256(answer) <= type(uint128).max / scale;
    }

    /// The index moves by rate * price * time / day, where the rate is the clamped share of the skew.
    function _fundingIndex(Market storage m, uint256 price) private view returns (int256) {
        int256 elapsed = int256(block.timestamp - m.fundingTime);
        if (elapsed == 0) return m.fundingIndex; // a market that is being listed has no parameters yet
        MarketParams storage params = m.params;
        int256 maxRate = int256(uint256(params.maxFundingRate));
        int256 skew = int256(uint256(m.longSize)) - int256(uint256(m.shortSize));
        int256 rate = skew * maxRate / int256(uint256(params.skewScale));
        if (rate > maxRate) rate = maxRate;
        if (rate < -maxRate) rate = -maxRate;
        return m.fundingIndex + rate * int256(price) * elapsed / (Wad.SIGNED_ONE * 1 days);
    }

    function _accrue(uint256 market, uint256 price) private {
        Market storage m = markets[market];
        m.fundingIndex = _fundingIndex(m, price).toInt128();
        m.fundingTime = uint64(block.timestamp);
    }

    function _maintenance(uint256 market, uint256 notional) private view returns (uint256) {
        Bracket[] storage tiers = brackets[market];
        uint256 k = tiers.length - 1;
        while (tiers[k].floor > notional) --k;
        return Wad.mulUp(notional, tiers[k].rate) - tiers[k].offset;
    }

    function _requireInitialMargin(address account) private view {
        // Who owes nothing needs no price to leave.
        if (heldMarkets[account] == 0 && settlementBalance[account] >= 0) return;
        (int256 equity,) = _health(account, true);
        uint256 initial = 0;
        uint256 held = heldMarkets[account];
        for (uint256 id = 0; held >> id != 0; ++id) {
            if ((held >> id) & 1 == 0) continue;
            Market storage m = markets[id];
            uint256 notional = Wad.mulUp(_abs(positions[account][id].size), _marketPrice(m));
            initial += Wad.mulUp(_maintenance(id, notional), m.params.initialFactor);
        }
        if (equity < initial.toInt256()) revert MarginTooLow(equity, initial);
    }

    // ---------------------------------------------------------------- internals: changes

    /// Settles funding, realises the profit of what is closed, and books the cost of what is opened.
    function _changePosition(address account, uint256 market, int256 delta, uint256 price) private {
        Market storage m = markets[market];
        Position storage position = positions[account][market];
        int256 size = position.size;
        int256 cost = position.cost;
        int256 funding = Wad.mulCeil(size, int256(m.fundingIndex) - position.fundingIndex);
        int256 realised = -funding;

        int256 opened = delta;
        if (size != 0 && (size > 0) != (delta > 0)) {
            int256 closed = _abs(delta) < _abs(size) ? -delta : size;
            int256 costClosed = cost * closed / size;
            realised += Wad.mulFloor(closed, int256(price)) - costClosed;
            cost -= costClosed;
            opened = delta + closed;
        }
        cost += Wad.mulCeil(opened, int256(price));

        _countOpenInterest(m, size, -1);
        size += delta;
        _countOpenInterest(m, size, 1);
        if (size == 0) {
            delete positions[account][market];
            heldMarkets[account] &= ~(1 << market);
        } else {
            position.size = size.toInt128();
            position.cost = cost.toInt128();
            position.fundingIndex = m.fundingIndex;
            heldMarkets[account] |= 1 << market;
        }
        emit PositionChanged(account, market, position.size, position.cost, position.fundingIndex);
        emit MarketChanged(market, m.longSize, m.shortSize, m.fundingIndex, m.fundingTime);
        pool -= realised;
        _settle(account, realised);
    }

    function _countOpenInterest(Market storage m, int256 size, int256 sign) private {
        if (size > 0) m.longSize = (int256(uint256(m.longSize)) + sign * size).toUint256().toUint128();
        else if (size < 0) m.shortSize = (int256(uint256(m.shortSize)) - sign * size).toUint256().toUint128();
    }

    /// Returns whether the size is the only one allowed (dust, or a single step), which no post-health limits.
    function _checkSize(Market storage m, uint256 held, uint256 size, uint256 price, bool deep)
        private
        view
        returns (bool forced)
    {
        MarketParams storage params = m.params;
        if (size == 0 || size > held || (size != held && size % params.step != 0)) revert BadSize();
        bool small = Wad.mulUp(held, price) < 2 * uint256(params.minNotional) || held < 2 * uint256(params.step);
        if (size > held / 2 && !deep && !small) revert CloseFactorExceeded(held / 2);
        uint256 left = Wad.mulUp(held - size, price);
        if (size != held && left < params.minNotional) revert DustLeft(left);
        return (small && size == held) || size == params.step;
    }

    function _useBlockCap(Market storage m, uint256 notional) private {
        uint256 used = m.capBlock == block.number ? m.capUsed : 0;
        uint256 cap = m.params.blockCap;
        if (used + notional > cap) revert BlockCapReached(used < cap ? cap - used : 0);
        m.capBlock = uint64(block.number);
        m.capUsed = (used + notional).toUint128();
    }

    /// The keeper's share is always paid; the insurance fund's is waived as far as the equity does not cover it.
    function _takePenalty(address account, uint256 market, Market storage m, uint256 size, uint256 price, int256 equity)
        private
        returns (uint256 reward)
    {
        uint256 scale = collaterals[0].scale;
        uint256 penalty = Wad.mulUp(Wad.mulUp(size, price), m.params.penalty);
        reward = Wad.mulDown(penalty, m.params.keeperShare) / scale;
        uint256 keeperPart = reward * scale;
        uint256 fundPart = penalty - keeperPart;
        int256 covered = equity - keeperPart.toInt256();
        if (covered < fundPart.toInt256()) fundPart = covered > 0 ? uint256(covered) : 0;
        insuranceFund += fundPart;
        _settle(account, -(keeperPart + fundPart).toInt256());
        emit Liquidated(account, market, msg.sender, size, price, keeperPart + fundPart, reward);
    }

    /// Token units out and settlement token units in: at most `repay`, the balance, and the debt, which counts as no
    /// less than the price of one token unit, so that no coarse unit is too dear to be sold.
    function _quoteSeizure(uint256 id, uint256 balance, uint256 debt, uint256 repay)
        private
        view
        returns (uint256 amount, uint256 repaid)
    {
        Collateral storage collateral = collaterals[id];
        uint256 settlementScale = collaterals[0].scale;
        // dollars, in 1e54, for one unit: of the token, and of the settlement token
        uint256 unitPrice = _collateralPrice(collateral) * (Wad.ONE - collateral.params.discount) * collateral.scale;
        uint256 settlementUnit = settlementScale * 1e36;
        repaid = Math.max(Wad.divUp(debt, settlementScale), Wad.divUp(unitPrice, settlementUnit));
        repaid = Math.min(repaid, repay);
        amount = repaid * settlementUnit / unitPrice;
        if (amount >= balance) {
            amount = balance;
            repaid = Wad.divUp(balance * unitPrice, settlementUnit);
        }
    }

    /// What an account that has nothing more still owes is paid by the insurance fund, then by the pool. Collateral of
    /// less than `DUST` that does not cover the debt is nothing, or a crumb would keep a debt alive that nobody is paid
    /// to clear; it goes to the owner's account. Collateral without any price is waited for.
    function _settleBadDebt(address account) private {
        int256 settlement = settlementBalance[account];
        if (settlement >= 0 || heldMarkets[account] != 0) return;
        uint256 debt = uint256(-settlement);
        if (heldCollaterals[account] != 0) {
            (uint256 worth, bool known) = _collateralWorth(account, false);
            if (!known || worth >= DUST || worth >= debt) return;
            _forfeitCollateral(account);
        }
        uint256 fromFund = debt < insuranceFund ? debt : insuranceFund;
        insuranceFund -= fromFund;
        pool -= (debt - fromFund).toInt256();
        _settle(account, debt.toInt256());
        emit BadDebt(account, debt, fromFund, debt - fromFund);
    }

    function _forfeitCollateral(address account) private {
        address to = owner();
        uint256 held = heldCollaterals[account];
        for (uint256 id = 1; held >> id != 0; ++id) {
            uint256 balance = collateralBalance[account][id];
            if (balance == 0) continue;
            _setCollateral(account, id, 0);
            _setCollateral(to, id, collateralBalance[to][id] + balance);
        }
    }

    function _settle(address account, int256 amount) private {
        if (amount == 0) return;
        int256 balance = settlementBalance[account] + amount;
        settlementBalance[account] = balance;
        emit SettlementChanged(account, balance);
    }

    function _setCollateral(address account, uint256 id, uint256 balance) private {
        collateralBalance[account][id] = balance;
        if (balance == 0) heldCollaterals[account] &= ~(1 << id);
        else heldCollaterals[account] |= 1 << id;
        emit CollateralChanged(account, id, balance);
    }

    /// Takes settlement tokens from the caller and returns their value in 1e18 dollars.
    function _pullSettlement(uint256 amount) private returns (uint256) {
        collaterals[0].token.safeTransferFrom(msg.sender, address(this), amount);
        return amount * collaterals[0].scale;
    }

    // ---------------------------------------------------------------- internals: configuration

    function _setLimits(uint256 maxPostHealth_, uint256 debtLimit_) private {
        if (maxPostHealth_ < Wad.ONE || maxPostHealth_ > 10 * Wad.ONE) revert BadParameter("maxPostHealth");
        maxPostHealth = maxPostHealth_;
        debtLimit = debtLimit_;
        emit LimitsConfigured(maxPostHealth_, debtLimit_);
    }

    function _list(IERC20 token, CollateralParams memory params) private returns (uint256 id) {
        id = collaterals.length;
        if (id == MAX_LISTED) revert BadParameter("too many collaterals");
        if (collateralIds[address(token)] != 0) revert BadParameter("listed twice");
        uint8 decimals = IERC20Metadata(address(token)).decimals();
        collateralIds[address(token)] = id + 1;
        Collateral storage collateral = collaterals.push();
        collateral.token = token;
        collateral.scale = _scale(decimals);
        emit CollateralListed(id, address(token), decimals, IERC20Metadata(address(token)).symbol());
        _configureCollateral(id, params);
    }

    function _configureCollateral(uint256 id, CollateralParams memory params) private {
        if (params.discount >= Wad.ONE) revert BadParameter("discount");
        // A seizure must raise the equity of the account.
        if (uint256(params.weight) + params.discount > Wad.ONE) revert BadParameter("weight");
        if (params.cap > type(uint96).max) revert BadParameter("cap");
        if (params.minGift == 0) revert BadParameter("minGift");
        uint8 feedDecimals = id == 0 ? 0 : params.feed.decimals();
        collaterals[id].feedScale = _scale(feedDecimals);
        collaterals[id].params = params;
        emit CollateralConfigured(id, params, feedDecimals);
    }

    function _configureMarket(uint256 id, MarketParams calldata params, Bracket[] calldata tiers) private {
        if (tiers.length == 0 || tiers[0].floor != 0 || tiers[0].offset != 0) revert BadParameter("brackets");
        if (tiers[0].rate == 0 || tiers[0].rate >= Wad.ONE) revert BadParameter("brackets");
        // Half of the lowest rate bounds the penalty: a partial liquidation raises health wherever equity is at least
        // half the requirement, and below that the whole position may be closed.
        if (params.penalty > tiers[0].rate / 2) revert BadParameter("penalty");
        if (params.keeperShare > Wad.ONE) revert BadParameter("keeperShare");
        if (params.tradingFee > 0.1e18) revert BadParameter("tradingFee");
        if (params.initialFactor < Wad.ONE) revert BadParameter("initialFactor");
        if (params.maxFundingRate > Wad.ONE) revert BadParameter("maxFundingRate");
        if (params.skewScale == 0) revert BadParameter("skewScale");
        if (params.step == 0) revert BadParameter("step");
        if (params.blockCap < 2 * params.minNotional) revert BadParameter("blockCap");
        if (params.maxOpenInterest > type(uint96).max) revert BadParameter("maxOpenInterest");
        uint8 feedDecimals = params.feed.decimals();
        // Funding so far, at the old rate; at the new feed's price, so that a dead feed can be replaced.
        uint256 price = _read(params.feed, params.heartbeat, _scale(feedDecimals));
        _accrue(id, price);
        // The smallest liquidations, of up to two steps, must fit into a block.
        if (params.blockCap < Wad.mulUp(2 * uint256(params.step), price)) revert BadParameter("step");
        delete brackets[id];
        for (uint256 k = 0; k < tiers.length; ++k) {
            if (k > 0) {
                Bracket calldata last = tiers[k - 1];
                if (tiers[k].floor <= last.floor || tiers[k].rate < last.rate || tiers[k].rate >= Wad.ONE) {
                    revert BadParameter("brackets");
                }
                uint256 offset = last.offset + Wad.mulDown(tiers[k].floor, tiers[k].rate - last.rate);
                if (tiers[k].offset != offset) revert BadParameter("offset");
            }
            brackets[id].push(tiers[k]);
        }
        markets[id].feedScale = _scale(feedDecimals);
        markets[id].params = params;
        emit MarketConfigured(id, params, feedDecimals);
        emit BracketsConfigured(id, tiers);
        emit MarketChanged(
            id, markets[id].longSize, markets[id].shortSize, markets[id].fundingIndex, markets[id].fundingTime
        );
    }

    function _scale(uint8 decimals) private pure returns (uint128) {
        if (decimals > 18) revert BadParameter("decimals");
        return uint128(10 ** (18 - decimals));
    }

    function _market(uint256 id) private view returns (Market storage) {
        if (id >= markets.length) revert UnknownMarket(id);
        return markets[id];
    }

    function _abs(int256 value) private pure returns (uint256) {
        return value < 0 ? uint256(-value) : uint256(value);
    }
}
