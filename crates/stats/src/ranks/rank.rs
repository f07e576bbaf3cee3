//! Ranks of pooled values; equal values share the mean of their ranks.

/// Ranks of checked values.
pub(super) struct Ranks {
    /// In the order of the values, from 1.
    pub(super) ranks: Vec<f64>,
    /// Sum of `t³ - t` over the runs of `t` equal values; zero without ties.
    pub(super) ties: f64,
}

pub(super) fn ranks(values: &[f64]) -> Ranks {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut ties = 0.0;
    let mut from = 0;
    // `==` puts the two zeros into one run, which `total_cmp` has laid side by side.
    for run in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let length = run.len() as f64;
        for place in run {
            ranks[*place] = from as f64 + 0.5 * (length + 1.0);
        }
        ties += length * length * length - length;
        from += run.len();
    }
    Ranks { ranks, ties }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        let Ranks { ranks, ties } = ranks(&[3.0, 0.0, -0.0, 3.0, 3.0, 1.0]);
        assert_eq!(ranks, [5.0, 1.5, 1.5, 5.0, 5.0, 3.0]);
        assert_eq!(ties, 6.0 + 24.0);
    }
}
