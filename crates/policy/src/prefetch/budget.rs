//! How many requests more the origin is sent: a token bucket that origin requests fill. A fetch ahead takes a token and
//! gives it back when it is used, since then it replaced a request that would have come; what stays taken is what the
//! origin had for nothing.

/// Tokens that are saved up at most.
const MOST_TOKENS: f64 = 50.0;

/// Shares of the origin's requests that fetching ahead may add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// On average.
    pub share: f64,
    /// Ever, over all requests so far.
    pub limit: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { share: 0.05, limit: 0.10 }
    }
}

/// The bucket.
#[derive(Clone, Debug)]
pub struct Budget {
    shares: Shares,
    tokens: f64,
    demanded: u64,
    fetched: u64,
    used: u64,
}

impl Budget {
    /// Shares are cut to 0 to 1. The bucket begins empty.
    #[must_use]
    pub fn new(shares: Shares) -> Self {
        let sane = |share: f64| if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let shares = Shares { share: sane(shares.share), limit: sane(shares.limit) };
        Self { shares, tokens: 0.0, demanded: 0, fetched: 0, used: 0 }
    }

    /// The origin was sent a request that somebody asked for.
    pub fn demanded(&mut self) {
        self.demanded += 1;
        self.tokens = (self.tokens + self.shares.share).min(MOST_TOKENS);
    }

    /// Takes a token for a fetch ahead; false when there is none.
    pub fn take(&mut self) -> bool {
        let unused = (self.fetched - self.used + 1) as f64;
        // What was used would have been demanded otherwise.
        let without = (self.demanded + self.used) as f64;
        if self.tokens < 1.0 || unused > self.shares.limit * without {
            return false;
        }
        self.tokens -= 1.0;
        self.fetched += 1;
        true
    }

    /// What a token was taken for was not fetched after all.
    pub fn give_back(&mut self) {
        if self.fetched > self.used {
            self.fetched -= 1;
            self.tokens = (self.tokens + 1.0).min(MOST_TOKENS);
        }
    }

    /// Counts from here on; what was saved up stays.
    pub fn begin_again(&mut self) {
        (self.demanded, self.fetched, self.used) = (0, 0, 0);
    }

    /// Something that was fetched ahead was asked for, for the first time.
    pub fn used(&mut self) {
        if self.used < self.fetched {
            self.used += 1;
            // As the demand that it replaced would have.
            self.tokens = (self.tokens + 1.0 + self.shares.share).min(MOST_TOKENS);
        }
    }

    /// How much of the bucket is empty, 0 to 1: what remains should go to what is most likely used.
    #[must_use]
    pub fn scarcity(&self) -> f64 {
        1.0 - self.tokens / MOST_TOKENS
    }

    /// Origin requests with fetching ahead over those without it, so far.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        let without = self.demanded + self.used;
        if without == 0 { 1.0 } else { (self.demanded + self.fetched) as f64 / without as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    #[test]
    fn never_beyond_the_limit_whatever_share_is_used() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let mut budget = Budget::new(Shares::default());
            let usefulness = dice.unit();
            for _ in 0..20_000 {
                if dice.unit() < 0.5 {
                    budget.demanded();
                }
                if budget.take() && dice.unit() < usefulness {
                    budget.used();
                }
                assert!(budget.amplification() <= 1.10 + 1e-9, "seed {seed}");
            }
            assert!(budget.amplification() <= 1.07, "seed {seed}: on average the share");
        }
    }

    #[test]
    fn useful_fetches_are_not_limited_and_useless_ones_are() {
        let fetched = |is_used: bool| {
            let mut budget = Budget::new(Shares::default());
            let mut fetched = 0;
            for _ in 0..1_000 {
                budget.demanded();
                if budget.take() {
                    fetched += 1;
                    if is_used {
                        budget.used();
                    }
                }
            }
            fetched
        };
        assert!(fetched(true) > 950 && fetched(false) <= 50, "{} {}", fetched(true), fetched(false));
    }

    #[test]
    fn nonsense_shares_and_uses_give_nothing() {
        let mut budget = Budget::new(Shares { share: f64::NAN, limit: -1.0 });
        budget.used();
        budget.demanded();
        assert!(!budget.take());
        assert_eq!(budget.amplification(), 1.0);
    }
}
