//! The NIST Statistical Reference Datasets: all eleven of one-way analysis of variance and the line Norris.
//! Digits are those that remain after the data have been rounded to doubles.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "test harness; the figures are for the documents"
)]

use headgate_stats::anova::one_way;
use headgate_stats::regression::{linear, polynomial};

/// Correct decimal digits, at most the 15 that are certified.
fn digits(found: f64, certified: f64) -> f64 {
    if found == certified {
        15.0
    } else {
        (-((found - certified) / certified).abs().log10()).clamp(0.0, 15.0)
    }
}

/// The number pairs of a NIST file after its last line that begins with "Data:".
fn rows(file: &str) -> Vec<[f64; 2]> {
    let lines: Vec<&str> = file.lines().collect();
    let data = lines.iter().rposition(|line| line.starts_with("Data:")).unwrap() + 1;
    let row = |line: &&str| {
        let numbers: Vec<f64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        <[f64; 2]>::try_from(numbers).unwrap()
    };
    lines[data..].iter().filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// Groups of a file whose rows are treatment and response.
fn groups(file: &str) -> Vec<Vec<f64>> {
    let mut groups: Vec<Vec<f64>> = Vec::new();
    for [treatment, response] in rows(file) {
        groups.resize_with(groups.len().max(treatment as usize), Vec::new);
        groups[treatment as usize - 1].push(response);
    }
    groups
}

/// The sets of Simon and Lesage are made by a rule: nine treatments around `base` + 0.4, 0.3, 0.5, 0.3, 0.5, ...;
/// the first value is that centre, the others lie in turn 0.1 below and above it. Dividing whole numbers by ten
/// rounds like reading the decimals of the files.
fn simon_lesage(base: u64, replicates: usize) -> Vec<Vec<f64>> {
    let value = |tenths: i64| (base as i64 * 10 + tenths) as f64 / 10.0;
    let group = |centre: i64| {
        (0..replicates)
            .map(|place| value(if place == 0 { centre } else { centre - 1 + 2 * ((place as i64 + 1) % 2) }))
            .collect()
    };
    [4, 3, 5, 3, 5, 3, 5, 3, 5].map(group).to_vec()
}

#[test]
fn anova_sets_reach_at_least_the_digits_of_scipy() {
    let real = [
        ("AtmWtAg", groups(include_str!("vectors/AtmWtAg.dat")), 1.594_673_356_779_30E+01, 10.15),
        ("SiRstv", groups(include_str!("vectors/SiRstv.dat")), 1.180_462_374_402_55, 13.0),
    ];
    // Last: the digits of F that scipy 1.17.1 `f_oneway` reaches, rounded down.
    let generated = [
        ("SmLs01", 1, 21, 21.0, 15.0),
        ("SmLs02", 1, 201, 201.0, 15.0),
        ("SmLs03", 1, 2001, 2001.0, 14.0),
        ("SmLs04", 1_000_000, 21, 21.0, 10.4),
        ("SmLs05", 1_000_000, 201, 201.0, 10.2),
        ("SmLs06", 1_000_000, 2001, 2001.0, 10.1),
        ("SmLs07", 1_000_000_000_000, 21, 21.0, 4.4),
        ("SmLs08", 1_000_000_000_000, 201, 201.0, 4.1),
        ("SmLs09", 1_000_000_000_000, 2001, 2001.0, 4.1),
    ];
    let generated = generated.map(|(name, base, n, f, scipy)| (name, simon_lesage(base, n), f, scipy));
    for (name, groups, f, scipy) in real.into_iter().chain(generated) {
        let table = one_way(&groups).unwrap();
        let reached = digits(table.f, f);
        println!("{name}: F {} has {reached:.2} digits, scipy {scipy}", table.f);
        assert!(reached >= scipy, "{name}: {reached} digits, scipy {scipy}");
        assert!(digits(table.between.mean_square / table.within.mean_square, table.f) > 14.5, "{name}");
    }
}

#[test]
fn norris_has_all_certified_digits() {
    let (y, x): (Vec<f64>, Vec<f64>) =
        rows(include_str!("vectors/Norris.dat")).into_iter().map(|[y, x]| (y, x)).unzip();
    let fit = linear(&x, &y, 0.95).unwrap().fit;
    let [level, slope] = [fit.coefficients[0], fit.coefficients[1]];
    // Certified for the decimals of the file; and exact for those decimals rounded to doubles, by 50-digit
    // arithmetic, which is as near as any calculation on doubles can come.
    let expected = [
        ("B0", level.estimate, -0.262_323_073_774_029, -0.262_323_073_774_026_75),
        ("B1", slope.estimate, 1.002_116_818_020_45, 1.002_116_818_020_454_4),
        ("sd of B0", level.standard_error, 0.232_818_234_301_152, 0.232_818_234_301_154_8),
        ("sd of B1", slope.standard_error, 0.429_796_848_199_937E-03, 4.297_968_481_999_412E-4),
        ("residual sd", fit.residual_sd, 0.884_796_396_144_373, 0.884_796_396_144_381_3),
        ("residual", fit.residual_sum_of_squares, 26.617_398_529_422_4, 26.617_398_529_422_89),
    ];
    for (name, found, certified, exact) in expected {
        println!("{name}: {found} has {:.2} of the certified digits", digits(found, certified));
        assert!(digits(found, certified) > 13.7, "{name}: {found}");
        assert!((found / exact - 1.0).abs() < 3e-16, "{name}: {found}");
    }
    assert!(digits(fit.r_squared, 0.999_993_745_883_712) > 14.9);
    assert!(digits(fit.f, 5_436_385.540_797_85) > 13.5);
    assert!(digits(fit.regression_sum_of_squares, 4_255_954.132_323_69) > 14.0);
}

#[test]
fn wampler_polynomials_survive() {
    // Wampler1 and Wampler2: y = Σ x^j and y = Σ (x / 10)^j for j = 0..=5, x = 0..=20, fitted without error.
    let x: Vec<f64> = (0..=20).map(f64::from).collect();
    for base in [1.0, 10.0f64] {
        // Whole numbers over a power of ten: rounded once.
        let y = |x: &f64| (0..6).map(|j| x.powi(j) * base.powi(5 - j)).sum::<f64>() / base.powi(5);
        let y: Vec<f64> = x.iter().map(y).collect();
        let fit = polynomial(&x, &y, 5, 0.95).unwrap().fit;
        for (power, coefficient) in fit.coefficients.iter().enumerate() {
            let certified = base.powi(-(power as i32));
            let reached = digits(coefficient.estimate, certified);
            assert!(reached > if base == 1.0 { 14.9 } else { 12.0 }, "{coefficient:?} {certified} {reached}");
        }
    }
}
