//! Whether fetching ahead pays: what it is likely to save, against what the origin's time is worth now and what leaves
//! the cache for it.

/// Something that could be fetched ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Probability that it is asked for within the horizon, 0 to 1.
    pub probability: f64,
    pub bytes: u64,
    /// Time that a user waits for it from the origin, and from the cache.
    pub miss_us: f64,
    pub hit_us: f64,
    /// What a microsecond of this user's time is worth, relative to others; 1 for most.
    pub value: f64,
}

/// What the rest of the system gives for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// User time that the origin's work for one microsecond is worth, from [`origin_price`].
    pub origin: f64,
    /// User time that the displaced bytes would have saved, in microseconds for each byte.
    pub byte_us: f64,
}

/// The price of the origin's time while it has nothing else to do and the budget is full.
const IDLE_PRICE: f64 = 0.3;
/// What is added to it when the budget is as good as spent: then only the nearly certain pays.
const SCARCE_PRICE: f64 = 0.65;
/// Load from which on nothing is fetched ahead.
pub const FULL: f64 = 0.8;

/// The shadow price of origin capacity: `load` is the share of it that is used, 0 to 1; `scarcity` the share of the
/// budget that is spent. Rises with both, with the load without bound. What is no number counts as full.
#[must_use]
pub fn origin_price(load: f64, scarcity: f64) -> f64 {
    if load < FULL && scarcity.is_finite() {
        (IDLE_PRICE + SCARCE_PRICE * scarcity.clamp(0.0, 1.0)) / (1.0 - (load / FULL).clamp(0.0, 1.0))
    } else {
        f64::INFINITY
    }
}

/// What it gains in microseconds of user time, on average; above zero it pays.
#[must_use]
pub fn gain_us(offer: &Offer, prices: &Prices) -> f64 {
    let saved = offer.probability * (offer.miss_us - offer.hit_us).max(0.0) * offer.value;
    let gain = saved - offer.miss_us * prices.origin - offer.bytes as f64 * prices.byte_us;
    if gain.is_nan() { f64::NEG_INFINITY } else { gain }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer =
        Offer { probability: 0.6, bytes: 1_000, miss_us: 50_000.0, hit_us: 500.0, value: 1.0 };

    #[test]
    fn the_likely_pays_while_the_origin_is_idle_and_nothing_does_when_it_is_full() {
        let at = |load| Prices { origin: origin_price(load, 0.0), byte_us: 0.0 };
        assert!(gain_us(&OFFER, &at(0.0)) > 0.0);
        assert!(gain_us(&OFFER, &at(0.6)) < 0.0);
        assert!(gain_us(&Offer { probability: 0.2, ..OFFER }, &at(0.0)) < 0.0);
        for load in [0.8, 1.0, 7.0, f64::NAN, f64::INFINITY] {
            assert!(gain_us(&Offer { probability: 1.0, ..OFFER }, &at(load)) < 0.0, "{load}");
        }
        let prices: Vec<f64> = (0..80).map(|load| origin_price(f64::from(load) / 100.0, 0.5)).collect();
        assert!(prices.is_sorted());
        let scarce = Prices { origin: origin_price(0.0, 1.0), byte_us: 0.0 };
        assert!(
            gain_us(&OFFER, &scarce) < 0.0 && gain_us(&Offer { probability: 0.99, ..OFFER }, &scarce) > 0.0
        );
        assert_eq!(origin_price(0.0, f64::NAN), f64::INFINITY);
    }

    #[test]
    fn large_objects_pay_for_what_they_displace() {
        let prices = Prices { origin: 0.0, byte_us: 0.01 };
        assert!(gain_us(&OFFER, &prices) > 0.0);
        assert!(gain_us(&Offer { bytes: 10_000_000, ..OFFER }, &prices) < 0.0);
        assert!(gain_us(&Offer { probability: f64::NAN, ..OFFER }, &prices) < 0.0);
    }
}
